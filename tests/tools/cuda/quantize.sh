# nibble-quantize on the GPU writes the bytes that the CPU writes: every type, with and
# without nested scales, rows that are no whole blocks, pieces that end in the middle of a weight,
# any number of threads; from floats of every type.
on_cuda
model() {  # model HIDDEN INTERMEDIATE [OPTION...]
  nibble-init -q --tokenizer="$tiny_model" --layers=1 --hidden-size="$1" --heads=4 --kv-heads=2 \
    --intermediate-size="$2" "${@:3}" -o "model$1"
}
alike() {  # alike THREADS ARGUMENT...: report and folder
  nibble-quantize -q "${@:2}" -o cpu >cpu.report
  nibble-quantize -q --threads="$1" --device=cuda "${@:2}" -o cuda >cuda.report
  diff -r cpu cuda && cmp cpu.report cuda.report || fail "$*: other bytes"
  rm -r cpu cuda
}
model 64 99
for type in nf4 fp4 int8; do
  alike 1 model64 --type=$type
  alike 3 model64 --type=$type --skip=none --report --json
done
alike 2 model64 --no-double-quant
alike 2 model64 --type=fp4 --block-size=4096 --max-shard-size=20kB
model 96 51 --dtype=f16
alike 2 model96 --block-size=32
alike 2 model96 --type=int8
# 2.2 million weights in rows of 8615: two pieces, the second with a short block at its end.
model 256 8615 --dtype=bf16
alike 2 model256 --skip=up_proj,gate_proj
alike 2 model256 --type=int8 --skip=up_proj,gate_proj

# The device's memory need not hold the model.
model 1024 5632
[ "$(stat -c %s model1024/model.safetensors)" -gt 81000000 ] || fail "the model is small"
NIBBLE_EMULATE_MEMORY=80000000 alike 2 model1024

# A weight that is no number is refused in the CPU's words, and nothing is left.
printf '\0\0\300\177' |
  dd of=model64/model.safetensors bs=1 seek=$((128 << 10)) conv=notrunc status=none
for tool in nibble-quantize "nibble-quantize --device=cuda"; do
  expect 65 $tool -q model64 -o out 2>err
  one_line err
  [ ! -e out ] || fail "something was written"
  [ ! -e before ] || cmp before err
  mv err before
done
grep -q '^nibble-quantize: [a-z0-9/-]*/model.safetensors: tensor "model.layers.0.*is NaN' before || fail "$(cat before)"
