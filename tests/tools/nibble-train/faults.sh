# Every fault is one line that names the place, with its exit code, and leaves nothing behind.
tiny_data
mkdir parent
fault() {  # fault CODE TEXT ARGUMENT...
  local want=$1 text=$2
  shift 2
  expect "$want" nibble-train -q --threads=1 -o parent/out "$@" >out 2>err
  [ ! -s out ]
  one_line err
  grep -qF -- "$text" err || fail "wanted '$text', got: $(cat err)"
  empty_folder parent
}
on="--model=model --data=train.nbp"

# Options, by their own names and by those of others.
fault 64 "--data" --model=model
fault 64 "--model" --data=train.nbp
for pair in --num-train-epochs=2:--epochs --lora-alpha=8:--alpha --lora-r=8:--rank --lr=1:--learning-rate \
  --gradient-accumulation-steps=2:--accumulate --per-device-train-batch-size=2:--batch-size \
  --target-modules=q_proj:--targets --lr-scheduler-type=linear:--schedule --warmup-ratio=0.1:--warmup \
  --neftune-noise-alpha=5:--neftune --optim=adamw:--optimizer --max-steps=5:--steps \
  --save-total-limit=2:--keep --gradient-checkpointing=true:--recompute --output-dir=x:--out; do
  fault 64 "${pair#*:}" $on "${pair%%:*}"
done
fault 64 "--batch-size" $on --batch-size=0
fault 64 "--dropout" $on --dropout=1
fault 64 "--optimizer" $on --optimizer=adagrad
fault 64 "--schedule" $on --schedule=step
fault 64 "--warmup=soon" $on --warmup=soon
fault 64 "--epochs: 0 is outside 1e-06 to 1e+06" $on --epochs=0
fault 64 "--epsilon: 0 is outside 1e-30 to 1" $on --epsilon=0
fault 64 "--keep-best needs --validation" $on --keep-best
fault 64 "--patience needs --validation" $on --patience=2
fault 64 "--eval-every needs --validation" $on --eval-every=2
fault 64 "--targets: its value is empty; name some" $on --targets=
fault 64 "--add-tokens goes with a new adapter" $on --add-tokens=text.txt --adapter=model
fault 64 "--method=full trains no adapter" $on --method=full --adapter=model
fault 64 "--rank: --adapter brings its own" $on --rank=4 --adapter=model
fault 64 "--targets: --adapter brings its own" $on --targets=q_proj --adapter=model
cp train.nbp replaced.nbp
fault 64 "replaced.nbp: is an input too" --model=model --data=replaced.nbp --metrics=./replaced.nbp
cmp train.nbp replaced.nbp
fault 69 "cuda" $on --device=cuda
fault 71 "--memory-limit allows 1 MiB; with any --recompute, --optimizer and --batch-size it needs" $on --memory-limit=1MiB
fault 71 "; it fits with --" $on --batch-size=32 --memory-limit=17MiB --recompute=none

# Models and adapters.
fault 66 "absent" --model=absent --data=train.nbp
cp -r model bare && rm bare/model.safetensors
fault 66 "bare" --model=bare --data=train.nbp
cp -r model cut && truncate -s -100 cut/model.safetensors
fault 65 "cut/model.safetensors" --model=cut --data=train.nbp
cp -r model foreign && sed -i 's/"model_type": "llama"/"model_type": "gpt2"/' foreign/config.json
fault 69 "gpt2" --model=foreign --data=train.nbp
fault 64 "no_such_module" $on --targets=no_such_module
fault 64 '--targets: "v_porj" names no linear layer of the model' $on --targets=q_proj,v_porj
fault 66 "no adapter_config.json" $on --adapter=model
nibble-init -q --tokenizer="$tiny_model" --layers=2 --hidden-size=32 --heads=4 --intermediate-size=48 -o narrow
nibble-train -q --threads=1 --model=narrow --data=train.nbp --steps=1 -o adapter
fault 65 "made for another model" $on --adapter=adapter

# Shards.
fault 66 "absent.nbp" --model=model --data=absent.nbp
fault 66 "absent.nbp" $on --validation=absent.nbp
: >empty.nbp
fault 65 "empty.nbp" --model=model --data=empty.nbp
fault 65 "text.txt" --model=model --data=text.txt
head -c 200 train.nbp >short.nbp
fault 65 "short.nbp" --model=model --data=short.nbp
size=$(stat -c %s train.nbp)
cp train.nbp flipped.nbp
printf '\252' | dd of=flipped.nbp bs=1 seek=$((size / 2)) conv=notrunc status=none
expect 65 nibble-train -q --threads=1 --model=model --data=flipped.nbp -o broken 2>err
one_line err
grep -q "flipped.nbp: frame [0-9]" err || fail "$(cat err)"
[ ! -e broken/adapter_model.safetensors ]
cp -r model other
sed 's/"<|im_end|>"/"<|end|>"/' model/tokenizer.json >other/tokenizer.json
cmp -s model/tokenizer.json other/tokenizer.json && fail "the tokenizer has no such token"
fault 65 "train.nbp: made with another tokenizer than the model's; tokenize and pack" --model=other --data=train.nbp
fault 65 "train.nbp: made with another tokenizer" --model=model --data=train.nbp --add-tokens=<(echo "<new>")

# A row longer than the context.
sed 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 32/' model/config.json >config
cp -r model small && mv config small/config.json
seq 100 | tr '\n' ' ' | nibble-tokenize -q --text --model=model |
  nibble-pack -q --mode=pad --model=model --length=512 -o long.nbp
fault 65 "long.nbp: a sequence of 293 tokens, but the model's context is 32; pack with --length=32" --model=small --data=long.nbp
fault 65 "long.nbp: a sequence of 293 tokens" --model=small --data=long.nbp --method=full

# Where it writes.
expect 73 nibble-train -q $on -o /proc/none 2>err
one_line err
touch file
expect 73 nibble-train -q $on -o file 2>err
one_line err
expect 73 nibble-train -q $on -o file/out 2>err
one_line err
expect 74 nibble-train -q --threads=1 $on --steps=2 --metrics=/dev/full -o full 2>err
one_line err
grep -q "/dev/full: cannot write" err
[ ! -e full/adapter_model.safetensors ]
expect 73 nibble-train -q --threads=1 $on --steps=1 --metrics=absent/metrics.jsonl -o full2 2>err
one_line err
nibble-train -q --threads=1 $on --steps=1 -o done
cp -r done kept
expect 73 nibble-train -q --threads=1 $on --steps=1 -o done 2>err
one_line err
grep -q "done: holds an earlier run; --resume it or choose another --out" err
diff -r done kept
expect 73 nibble-train -q --threads=1 $on --steps=1 -o model 2>err
one_line err
grep -q "model: holds a model; choose another --out" err || fail "$(cat err)"
