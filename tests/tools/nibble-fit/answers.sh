# What it answers: exit codes, every kind of input, ways that are true, and nibble-train's agreement.
tiny_data
number() { grep -o "\"$1\": *[0-9]*" <<<"$2" | sed -n '1s/.*: *//p'; }  # the first of that name
ask() { nibble-fit --length=64 --json "$@" || [ $? = 1 ]; }

# Fits or not.
total=$(number total "$(ask model)")
nibble-fit model --length=64 --memory-limit="$total" >out
grep -q "^fits into" out
expect 1 nibble-fit model --length=64 --memory-limit=$((total - 1)) --recompute=none >out
grep -q "^does not fit into" out
grep -q "what would make it fit, cheapest first" out

# A folder, its config.json, the same as GGUF, and weights in 4 bits.
cp model/config.json alone.json
[ "$(number total "$(ask alone.json)")" = "$total" ] || fail "a config.json alone has another plan"
nibble-export -q model -o model.gguf --type=f32
[ "$(number parameters "$(ask model.gguf)")" = "$(number parameters "$(ask model)")" ]
nibble-quantize -q model -o nf4
stored=$(number total "$(ask nf4)") asked=$(number total "$(ask model --quantized=nf4)")
[ "$stored" -lt "$total" ] && [ "$asked" -lt "$total" ]
nibble-fit --params=7B --quantized=nf4 --gpu=rtx4090 >out
grep -q "^fits into RTX 4090" out
grep -q "CUDA context (assumed)" out
expect 1 nibble-fit --params=70B --gpu=rtx4090 --stream-weights=none >out

# What leaves a device has to be somewhere: the host is taken to have as much as the GPU unless told.
expect 1 nibble-fit --params=70B --gpu=rtx4090 >out
grep -q "^does not fit into RTX 4090: .* to be had, and 24.0 GiB of the host" out
grep -q "the host has 24.0 GiB for what leaves the device: as much as the GPU" out
nibble-fit --params=70B --gpu=rtx4090 --host-memory=160GiB >out
grep -q "^fits into RTX 4090: .* to be had, and 160 GiB of the host" out
grep -q "in the host's memory: weights, pinned  *1[0-9][0-9] GiB" out
expect 1 nibble-fit --params=70B --gpu=rtx4090 --host-memory=100GiB >out
for host in 24 60 160; do
  answer=$(nibble-fit --params=70B --gpu=rtx4090 --quantized=nf4 --batch-size=1 --host-memory=${host}GiB --json) ||
    fail "70B in 4 bits does not fit with a host of $host GiB"
  [ "$(number host_total "$answer")" -le $((host << 30)) ] || fail "$answer"
done
# A way to fit, pasted, fits, on the host too.
options=$(nibble-fit --params=70B --quantized=nf4 --gpu=rtx4090 --batch-size=16 --recompute=none --json |
  sed 's/.*"ways": *\[{"options": *\[\([^]]*\)\].*/\1/; s/[",]/ /g') || [ -n "$options" ]
nibble-fit --params=70B --quantized=nf4 --gpu=rtx4090 $options >out

# Graphs take memory of a device.
[ "$(number total "$(nibble-fit --params=1B --gpu=l4 --json)")" -gt \
  "$(number total "$(nibble-fit --params=1B --gpu=l4 --json --no-graphs)")" ]

# The first way, pasted, fits and trains.
answer=$(ask model --batch-size=16 --recompute=none)
limit=$(($(number total "$answer") * 7 / 10))
options=$(ask model --batch-size=16 --recompute=none --memory-limit=$limit |
  sed 's/.*"ways": *\[{"options": *\[\([^]]*\)\].*/\1/; s/[",]/ /g')
[ -n "$options" ]
nibble-fit model --length=64 --memory-limit=$limit $options >out
expect 71 nibble-train -q --threads=1 --model=model --data=train.nbp --steps=1 --batch-size=16 --recompute=none \
  --memory-limit=12MiB -o refused 2>err
one_line err

# nibble-train plans the same, and takes the way to recompute that fits.
nibble-init -q --tokenizer="$tiny_model" --layers=9 --hidden-size=64 --heads=4 -o deep
data="--data=train.nbp --batch-size=8"
for recompute in none norm sqrt layer; do
  nibble-train --threads=1 --model=deep $data --steps=1 --recompute=$recompute -o out-$recompute 2>/dev/null
  planned=$(sed -n 's/.*"planned_rss": \([0-9]*\).*/\1/p' out-$recompute/metrics.jsonl)
  fit=$(number total "$(nibble-fit deep --threads=1 $data --recompute=$recompute --json)")
  [ "$planned" = "$fit" ] || fail "$recompute: nibble-train plans $planned bytes, nibble-fit $fit"
  nibble-train --threads=1 --model=deep $data --steps=1 --memory-limit=$planned -o auto-$recompute 2>err
  # Segments cost no less than every layer, whose MLPs are made again but for their outputs.
  [ "$recompute" = sqrt ] || grep -q "with --recompute=$recompute\$" err || fail "wanted $recompute: $(grep recompute err)"
  cmp out-none/adapter_model.safetensors auto-$recompute/adapter_model.safetensors
done

# The largest: what is found fits, one more does not.
for what in batch sequence rank; do
  n=$(number largest_$what "$(ask model --find=$what --memory-limit=40MiB --recompute=none)")
  option=$(sed 's/batch/batch-size/; s/sequence/length/' <<<$what)
  nibble-fit model --length=64 --recompute=none --memory-limit=40MiB --$option="$n" >out || fail "$what $n does not fit"
  [ "$what $n" = "sequence 2048" ] ||
    expect 1 nibble-fit model --length=64 --recompute=none --memory-limit=40MiB --$option=$((n + 1)) >out
done
ask alone.json --find=model --gpu=h200 --quantized=nf4 | grep -q '"name": *"Qwen3-8B"'

# Inference and its cache.
nibble-fit model --task=infer --context=512 >out
grep -q "key/value cache" out
small=$(number total "$(ask model --task=infer --context=128)") large=$(number total "$(ask model --task=infer --context=512)")
[ "$small" -lt "$large" ]

# Time and cost of a run.
nibble-fit --params=1B --gpu=l4 --tokens=10M --epochs=2 --price=0.8 >out
grep -q "^predicted: .* tokens/s, a step in .*; the run in .*, for " out
grep -q "products run at" out

# Rules of thumb, as such.
sed 's/"hidden_size": *64/"hidden_size": 4096/; s/"intermediate_size": *96/"intermediate_size": 14336/
  s/"num_hidden_layers": *2/"num_hidden_layers": 32/; s/"num_attention_heads": *4/"num_attention_heads": 32/
  s/"num_key_value_heads": *2/"num_key_value_heads": 8/; s/"head_dim": *16/"head_dim": 128/
  s/"vocab_size": *[0-9]*/"vocab_size": 32000/' model/config.json >mistral.json
nibble-fit mistral.json --gpu=a10 --length=512 >out || true
grep -q "7,241,732,096 parameters" out || fail "$(head -1 out)"
grep -q "^rules of thumb (estimates" out
grep -q "published for Mistral-7B in float32: 27.49 GB, x 1.2 32.99 GB, x 4 109.96 GB (5 devices)" out
grep -q "truly 28.97 GB, 27.0 GiB" out

# Those of a size alone, as they are quoted: what was asked for counts, not the shape made for it.
rule() {  # SIZE TEXT OPTION...
  nibble-fit --params="$1" --gpu=h200 --quantized=nf4 "${@:3}" | tr -s ' ' >out || true
  grep -qF -- "$2" out || fail "$1: no '$2' in $(cat out)"
}
rule 70B "16, 8, 4 bits 168.00 GB"
rule 1B "weights, all, up to 4.00 GB 24.00 GB 80.00 GB"
rule 10B "full, LoRA 120.00 GB 40.00 GB"
rule 7B "2 r sqrt(P): 1.37B; truly" --rank=8192
rule 13B "2 r sqrt(P): 1.87B; truly" --rank=8192
rule 70B "2 r sqrt(P): 4.33B; truly" --rank=8192
rule 180B "2 r sqrt(P): 6.95B; truly" --rank=8192
rule 7B "LoRA 1.5%" --trained-share=0.015
rule 7241732096 "published for Mistral-7B in float32: 27.49 GB"

# The catalogue.
nibble-fit --list-gpus --least-memory=80GiB >out
grep -q "H200" out && ! grep -q "RTX 4090" out
printf 'name,memory,bandwidth,fp32,bf16,fp16,fp8,int8,compute,year,kind\nMine,3,100,1,2,2,0,0,8.6,2030,desktop\n' >mine.csv
nibble-fit model --length=64 --gpus=mine.csv --gpu=mine >out
grep -q "^fits into Mine: 2.91 GiB" out

# Drawn.
nibble-fit model --length=64 --plot >out
grep -q "memory by item" out && grep -q "Qwen3-8B" out
if command -v gnuplot >/dev/null; then
  nibble-fit model --length=64 --plot=fit.svg >out
  grep -q "<svg" fit.svg && grep -q "total" out
fi
