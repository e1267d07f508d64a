# Every fault is one line that names the place, with its exit code, and leaves nothing behind.
tiny_data
mkdir parent
fault() {  # fault CODE TEXT ARGUMENT...
  local want=$1 text=$2
  shift 2
  expect "$want" nibble-eval -q --threads=1 -o parent/report "$@" >out 2>err
  [ ! -s out ]
  one_line err
  grep -qF -- "$text" err || fail "wanted '$text', got: $(cat err)"
  empty_folder parent
}
fault 64 "--model" --perplexity=text.txt
fault 64 "give one of --perplexity, --data, --task and --compare" --model=model
fault 64 "give one of --perplexity, --data, --task and --compare" --model=model --perplexity=text.txt --data=train.nbp
fault 64 "--length" --model=model --perplexity=text.txt --max-length=64
fault 64 "--length=4096 is outside 2 to the model's context, 2048" --model=model --perplexity=text.txt --length=4096
fault 64 "--length=1 is outside" --model=model --perplexity=text.txt --length=1
fault 64 "--stride=65 is above --length=64" --model=model --perplexity=text.txt --length=64 --stride=65
# Options that would change nothing.
for option in --length=32 --stride=16 --log=parent/log --template=chatml --train-on=all --limit=3; do
  fault 64 "${option%%=*}: is for " --model=model --data=train.nbp $option
done
fault 64 "--length: is for texts, conversations and tasks, not for packed shards; leave it out" --model=model --data=train.nbp --length=32
fault 64 "--few-shot: is for --task; leave it out" --model=model --perplexity=text.txt --few-shot=2
fault 64 "--stride: is for texts and conversations; leave it out" --model=model --task=arc_easy --stride=16
fault 64 "--samples: is for --task and --compare; leave it out" --model=model --perplexity=text.txt --samples=20
echo 'length = 32' >options.toml
fault 64 "--length: is for texts" --model=model --data=train.nbp --config=options.toml
cp text.txt replaced.txt
expect 64 nibble-eval -q --model=model --perplexity=replaced.txt -o ./replaced.txt 2>err
one_line err
expect 64 nibble-eval -q --model=model --perplexity=replaced.txt --log=replaced.txt 2>err
grep -q "replaced.txt: is an input too" err
cmp text.txt replaced.txt
expect 64 nibble-eval -q --model=model --perplexity=text.txt -o both --log=./both 2>err
one_line err
grep -q "both: named twice" err
[ ! -e both ]
fault 69 "cuda" --model=model --perplexity=text.txt --device=cuda
fault 66 "absent" --model=absent --perplexity=text.txt
fault 66 "absent.txt" --model=model --perplexity=absent.txt
fault 66 "absent.nbp" --model=model --data=absent.nbp
fault 66 "no adapter_config.json" --model=model --perplexity=text.txt --adapter=model
cp -r model cut && truncate -s -100 cut/model.safetensors
fault 65 "cut/model.safetensors" --model=cut --perplexity=text.txt
: >empty.txt
fault 65 "empty.txt: fewer than two tokens" --model=model --perplexity=empty.txt
fault 65 "text.txt" --model=model --data=text.txt
echo '{"q":"a"}' >form.jsonl
fault 65 'form.jsonl:1: of no known form (it has "q"); mend it' --model=model --data=form.jsonl
! grep -q -e --skip-bad -e --fields err || fail "no option of nibble-eval: $(cat err)"
printf '{"prompt":"a","completion":"b"}\n{"prompt":"a' >form.jsonl
fault 65 'form.jsonl:2: malformed JSON: A string is opened, but never closed; mend it' --model=model --data=form.jsonl
size=$(stat -c %s train.nbp)
cp train.nbp flipped.nbp
printf '\252' | dd of=flipped.nbp bs=1 seek=$((size / 2)) conv=notrunc status=none
fault 65 "flipped.nbp: frame " --model=model --data=flipped.nbp
cp -r model other
sed 's/"<|im_end|>"/"<|end|>"/' model/tokenizer.json >other/tokenizer.json
fault 65 "train.nbp: made with another tokenizer" --model=other --data=train.nbp
nibble-init -q --vocab-size=60 --layers=1 --hidden-size=32 --heads=4 -o few
cp model/tokenizer* few
fault 65 "few: the tokenizer has 264 tokens, the model's vocabulary 60" --model=few --perplexity=text.txt
fault 65 "few: the tokenizer has 264 tokens, the model's vocabulary 60" --model=few --data=train.nbp
nibble-init -q --tokenizer="$tiny_model" --layers=2 --hidden-size=32 --heads=4 --intermediate-size=48 -o narrow
nibble-train -q --threads=1 --model=narrow --data=train.nbp --steps=1 -o adapter
fault 65 "made for another model" --model=model --adapter=adapter --data=train.nbp
cp -r model poisoned
size=$(stat -c %s model/model.safetensors)
printf '\377\377\377\177' | dd of=poisoned/model.safetensors bs=1 seek=$((size - 4)) conv=notrunc status=none
fault 65 "the loss is not finite" --model=poisoned --perplexity=text.txt
fault 65 "the loss is not finite" --model=poisoned --data=train.nbp
sed 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 20/' model/config.json >config
cp -r model small && mv config small/config.json
fault 65 "train.nbp: a sequence of 31 tokens, but the model's context is 20; pack with --length=20" --model=small --data=train.nbp
printf 'one\ntwo caf\351s\n' >latin1.txt
fault 65 "latin1.txt:2: not UTF-8; convert it" --model=model --perplexity=latin1.txt
printf '\377' >latin1.txt
fault 65 "latin1.txt:1: not UTF-8; convert it" --model=model --perplexity=latin1.txt

# Where it writes.
on="-q --threads=1 --model=model --perplexity=text.txt"
expect 73 nibble-eval $on -o absent/report 2>err
one_line err
expect 73 nibble-eval $on --log=absent/log >out 2>err
one_line err
[ ! -s out ]
expect 74 nibble-eval $on >/dev/full 2>err
one_line err
expect 74 nibble-eval $on --log=/dev/full >out 2>err
one_line err
[ ! -s out ]
