# Options from a file: numbers to the last digit, lists as arrays, switches; the command line is
# stronger.
tiny_data 20
cat >run.toml <<'END'
# a run
model = "model"
data = "train.nbp"
learning-rate = 1.2345678901e-4
targets = ["q_proj", "v_proj"]
steps = 1
rank = 3
use-rslora = true
no-graphs = true
shuffle = false
memory-limit = "1GiB"
END
nibble-train -q --threads=1 --config=run.toml --rank=5 -o out
head -1 out/metrics.jsonl >run
for option in '"learning-rate": "0.00012345678901"' '"targets": "q_proj,v_proj"' '"rank": "5"' \
  '"use-rslora": "true"' '"shuffle": "false"' '"memory-limit": "1GiB"' '"graphs": "false"'; do
  grep -qF "$option" run || fail "not $option in $(cat run)"
done
# A list of which every item is an option's value, and an option whose value may be left out.
printf 'model = "model"\nskip-bad = true\nstop = ["a", "b", "c"]\nmax-tokens = 2\n' >generate.toml
printf '{"prompt":"item"}\n{"prompt":7}\n' >prompts.jsonl
nibble-generate -q --threads=1 --config=generate.toml prompts.jsonl >done.jsonl
one_line done.jsonl
echo 'skip-bad = false' >>generate.toml
expect 64 nibble-generate -q --config=generate.toml prompts.jsonl 2>err
grep -q '^nibble-generate: --config=generate.toml:5: not TOML: ' err || fail "$(cat err)"
sed -i 2d generate.toml
expect 65 nibble-generate -q --threads=1 --config=generate.toml prompts.jsonl 2>err >out.jsonl
one_line err
