# What cannot be quantised is named in one line, with its exit code, and leaves nothing behind.
nibble-init -q --layers=1 --hidden-size=32 --heads=2 --kv-heads=2 --intermediate-size=48 \
  --corpus="$CASES/corpus.txt" --vocab-size=300 --dtype=f32 -o model
mkdir parent
check() {  # check CODE TEXT ARGUMENT...
  local code=$1 text=$2
  shift 2
  expect "$code" nibble-quantize "$@" >out 2>err
  [ ! -s out ]
  one_line err
  grep -qF -- "$text" err || fail "not '$text' but: $(cat err)"
  empty_folder parent
}
target="-o parent/q"
check 66 "none: " none $target
check 64 "--block-size=100" model $target --block-size=100
check 64 "--block-size: --type=int8 has a scale a row" model $target --type=int8 --block-size=128
check 64 "--double-quant: --type=int8 has a scale a row" model $target --type=int8 --no-double-quant
check 64 '--skip: "nonsense" names no layer of the model' model $target --skip=lm_head,nonsense
check 64 "--type" model $target --type=int4
check 64 "out" model
nibble-quantize -q model -o quantised
check 65 "is quantised already" quantised $target
check 65 "holds no linear layer to quantise" model $target --skip=_proj,lm_head

cp -r model poisoned
# The last tensor's bytes: a NaN in the last weight of the file.
size=$(stat -c %s poisoned/model.safetensors)
printf '\377\377\377\177' | dd of=poisoned/model.safetensors bs=1 seek=$((size - 4)) conv=notrunc status=none
check 65 'nibble-quantize: poisoned/model.safetensors: tensor "lm_head.weight": element (299,31) is NaN; ' poisoned $target --skip=none
cp -r model cut
truncate -s $((size - 100)) cut/model.safetensors
check 65 "cut/model.safetensors" cut $target
cp -r model bare && rm bare/model.safetensors
check 66 "bare" bare $target
cp -r model foreign && sed -i 's/"model_type": "llama"/"model_type": "gpt2"/' foreign/config.json
check 69 'gpt2' foreign $target

mkdir -p full && touch full/precious
expect 73 nibble-quantize model -o full 2>err
one_line err
[ "$(ls -A full)" = precious ]
expect 73 nibble-quantize model -o no/such/parent/q 2>err
one_line err
expect 74 nibble-quantize -q model -o reported --report >/dev/full 2>err
one_line err
[ ! -e reported ]
