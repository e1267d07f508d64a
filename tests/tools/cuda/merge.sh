# nibble-merge on the GPU. An adapter whose B is zero leaves of every base what the CPU
# leaves of it, to the bit, also where a weight is made in several panels and quantised again.
# tests/model/merge_test.cpp holds the numbers of others to the formula, on both.
on_cuda
nibble-init -q --tokenizer="$tiny_model" --layers=1 --hidden-size=512 --heads=4 --kv-heads=2 \
  --intermediate-size=2307 --dtype=bf16 -o bf16
printf '%s\n' "A line to train on." | nibble-tokenize -q --text --model=bf16 |
  nibble-pack -q --model=bf16 --length=32 -o train.nbp
nibble-quantize -q bf16 -o nf4
nibble-quantize -q bf16 -o fp4 --type=fp4 --no-double-quant --block-size=32
nibble-quantize -q bf16 -o int8 --type=int8
for base in bf16 nf4 fp4 int8; do
  nibble-train -q --threads=1 --model=$base --data=train.nbp --steps=1 --rank=3 --learning-rate=0 \
    --targets=up_proj,down_proj,q_proj -o adapter
  for type in f32 keep; do
    nibble-merge -q --model=$base --adapter=adapter --type=$type -o cpu
    nibble-merge -q --model=$base --adapter=adapter --type=$type --device=cuda -o cuda
    diff -r cpu cuda || fail "$base to $type: other bytes"
    rm -r cpu cuda
  done
  rm -r adapter
done
