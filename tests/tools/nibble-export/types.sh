# A model goes out as GGUF of every type and as a folder, and comes back; a full disk, a wrong
# option or a missing part ends in one line and leaves nothing.
for i in $(seq 300); do echo "Person $i lives in town $((i * 7 % 31)) and keeps $((i % 5)) cats."; done >corpus
nibble-init -o m --corpus=corpus --vocab-size=300 --layers=2 --hidden-size=64 --heads=4 -q
for type in f32 f16 bf16 q8_0 q4_0 q4_1; do
  nibble-export m -o $type.gguf --type=$type -q
  nibble-inspect --verify $type.gguf >/dev/null
done
nibble-import f32.gguf -o back -q
cmp m/model.safetensors back/model.safetensors
cmp m/tokenizer.model back/tokenizer.model
nibble-export m -o folder --type=bf16 --max-shard-size=50kB -q
nibble-inspect --verify folder >/dev/null
[ -e folder/model.safetensors.index.json ]

check() {  # check CODE TEXT ARGUMENT...
  local code=$1 text=$2
  shift 2
  expect "$code" nibble-export "$@" >out 2>err
  [ ! -s out ]
  one_line err
  grep -qF -- "$text" err || fail "not '$text' but: $(cat err)"
}
mkdir new
check 64 "--type=q8_0" m -o new/folder --type=q8_0
check 64 "--type" m -o new/x.gguf --type=q3_k
check 64 "--adapter writes GGUF" m -o new/folder --adapter=a
check 66 "a: no adapter_config.json" m -o new/a.gguf --adapter=a
check 66 "none" none -o new/x.gguf
nibble-init -q --tokenizer=m --layers=2 --hidden-size=32 --heads=4 -o narrow
nibble-tokenize -q --model=m --text corpus | nibble-pack -q --model=m --length=64 -o train.nbp
nibble-train -q --threads=1 --model=narrow --data=train.nbp --steps=1 -o adapter
check 65 "made for another model" m -o new/a.gguf --adapter=adapter
# An alpha of 0 is nothing to divide by: the adapter adds nothing, there as here.
sed -i 's/"lora_alpha": [0-9.]*/"lora_alpha": 0/' adapter/adapter_config.json
nibble-export -q narrow --adapter=adapter -o new/nothing.gguf
nibble-inspect --stats new/nothing.gguf >stats
grep -q lora_b stats
rm new/nothing.gguf
check 73 "folder: exists and is not empty" m -o folder
ln -s /dev/full full.gguf
check 74 "full.gguf: cannot write" m -o full.gguf
rm m/tokenizer.model
check 66 "no tokenizer" m -o new/x.gguf
rm m/model.safetensors
check 66 "no model.safetensors" m -o new/folder
empty_folder new
