# One line, the right exit code.
check() {  # check CODE TEXT ARGUMENT...
  local code=$1 text=$2
  shift 2
  expect "$code" nibble-inspect "$@" >out 2>err
  [ ! -s out ]
  one_line err
  grep -qF -- "$text" err || fail "not '$text' but: $(cat err)"
}
check 64 "PATH"
check 66 "none: no such file or folder" none
mkdir empty
check 65 "empty: holds no model, adapter or checkpoint" empty
echo text >x.txt
check 65 "x.txt: neither GGUF" x.txt
printf 'GGUF\1\0\0\0' >x.gguf
check 65 "version 1" x.gguf
: >x.safetensors
check 65 "x.safetensors" x.safetensors
: >x.nbp
check 65 "x.nbp" x.nbp
: >x.jsonl
check 64 "--show=a: of training data the first examples are shown" --show=a x.jsonl
nibble-init -q --tokenizer="$tiny_model" --layers=1 --hidden-size=32 --heads=2 -o model
nibble-quantize -q model -o nf4
sed '/"llm_int8_skip_modules"/,/\]/c "llm_int8_skip_modules": LIST,' nf4/config.json >config.json
for list in true '{}' '[7]'; do
  sed "s/LIST/$list/" config.json >nf4/config.json
  check 65 'nf4/config.json: quantization_config: "llm_int8_skip_modules": expected a' nf4
done
check 65 'holds nothing named "3"; run nibble-inspect without --show for the names' --show model
expect 1 nibble-inspect --verify x.safetensors >out
grep -q "^fault: x.safetensors" out
echo '{}' >ok.jsonl
expect 74 nibble-inspect ok.jsonl >/dev/full 2>err
one_line err
