# An adapter that nibble-train made, merged into a dense and into a 4-bit base; and every fault is
# one line with its exit code and leaves nothing behind.
awk 'BEGIN { for (i = 0; i < 500; ++i) print "Person", i, "lives in town", i * 7 % 31, "with", i % 5, "cats." }' >corpus.txt
nibble-init -q --corpus=corpus.txt --vocab-size=300 --layers=2 --hidden-size=64 --heads=4 --kv-heads=2 -o base
for i in 1 2 3 4; do
  printf '{"input_ids":[1,%d,280,275,290,2],"labels":[-100,%d,280,275,290,2]}\n' $((260 + i)) $((260 + i))
done >rows.jsonl
nibble-pack -q --model=base --length=16 rows.jsonl -o train.nbp
train() { nibble-train -q --data=train.nbp --steps=2 --batch-size=1 --rank=4 --learning-rate=0.01 "$@"; }
train --model=base -o adapter
nibble-merge -q --model=base --adapter=adapter -o merged
cmp -s base/model.safetensors merged/model.safetensors && fail "nothing was merged"
cmp base/tokenizer.model merged/tokenizer.model
cmp base/generation_config.json merged/generation_config.json
nibble-merge --model=base --adapter=adapter --type=bf16 -o small 2>err
grep -q '"dtype": "bfloat16"' small/config.json
grep -q "14 layers merged, 0 tensors replaced" err

nibble-quantize -q base -o nf4
train --model=nf4 -o adapter-nf4
nibble-merge -q --model=nf4 --adapter=adapter-nf4 -o again
grep -q '"bnb_4bit_quant_type": "nf4"' again/config.json
nibble-merge -q --model=nf4 --adapter=adapter-nf4 --type=bf16 -o dense
grep -q quantization_config dense/config.json && fail "dense weights with a quantization_config"
nibble-quantize -q dense -o dense-nf4
nibble-merge -q --model=nf4 --adapter=adapter-nf4 --type=nf4 -o quantised
cmp quantised/model.safetensors again/model.safetensors

mkdir out
fault() {
  local want=$1 text=$2
  shift 2
  expect "$want" nibble-merge "$@" -o out/model >stdout 2>err
  [ ! -s stdout ]
  one_line err
  grep -qF -- "$text" err || fail "wanted '$text', got: $(cat err)"
  empty_folder out
}
nibble-init -q --corpus=corpus.txt --vocab-size=300 --layers=2 --hidden-size=32 --heads=4 -o narrow
nibble-init -q --corpus=corpus.txt --vocab-size=300 --layers=1 --hidden-size=64 --heads=4 --kv-heads=2 -o short
fault 65 "made for another model" --model=narrow --adapter=adapter
fault 65 "made for another model" --model=short --adapter=adapter
fault 66 "no adapter_config.json" --model=base --adapter=base
fault 66 "config.json" --model=absent --adapter=adapter
fault 64 "--type" --model=base --adapter=adapter --type=q4_0
fault 64 "--adapter" --model=base
cp -r adapter cut
head -c 1000 adapter/adapter_model.safetensors >cut/adapter_model.safetensors
fault 65 "cut/adapter_model.safetensors" --model=base --adapter=cut
sed 's/"peft_type": "LORA"/"peft_type": "LOHA"/' adapter/adapter_config.json >cut/adapter_config.json
fault 69 "LOHA" --model=base --adapter=cut
expect 73 nibble-merge --model=base --adapter=adapter -o merged 2>err
one_line err
