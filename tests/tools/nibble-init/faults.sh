# Every fault is one line with its exit code, and leaves nothing behind.
fault() {
  local want=$1 text=$2
  shift 2
  expect "$want" nibble-init "$@" -o out/model >stdout 2>err
  [ ! -s stdout ]
  one_line err
  grep -qF -- "$text" err || fail "wanted '$text', got: $(cat err)"
  empty_folder out
}
mkdir out
echo "a b c d" >small.txt
printf 'fine\n\377\n' >latin.txt
echo '{"model_type": "llama"' >cut.json
echo '{"model_type": "gpt2", "vocab_size": 5}' >gpt2.json
echo 'nothing' >tokenizer.txt
head -c 100 /dev/zero >zero.model
fault 64 "give --corpus, --tokenizer or --vocab-size"
fault 64 "--corpus needs --vocab-size" --corpus=small.txt
fault 64 "give one of them" --corpus=small.txt --tokenizer=zero.model --vocab-size=300
fault 64 "--kv-heads=3 does not divide --heads=4" --kv-heads=3 --vocab-size=300
fault 64 "--hidden-size" --num-attention-heads=4 --hidden-size=0 --vocab-size=300
fault 65 "small.txt: cannot train a vocabulary of 300 pieces" --corpus=small.txt --vocab-size=300
fault 65 "latin.txt:2: not UTF-8" --corpus=latin.txt --vocab-size=300
fault 66 "absent.txt" --corpus=absent.txt --vocab-size=300
fault 65 "cut.json" --config-json=cut.json
fault 69 "gpt2" --config-json=gpt2.json
fault 64 "neither a folder nor a .model or .json file" --tokenizer=tokenizer.txt
fault 65 "zero.model" --tokenizer=zero.model
fault 66 "no tokenizer.json or tokenizer.model" --tokenizer=out
awk 'BEGIN { for (i = 0; i < 500; ++i) print "Person", i, "lives in town", i * 7 % 31 }' >corpus.txt
fault 64 "does not go with qwen2" --family=qwen2 --corpus=corpus.txt --vocab-size=290
mkdir full
touch full/file
expect 73 nibble-init --vocab-size=300 -o full 2>err
one_line err
expect 73 nibble-init --vocab-size=300 -o /proc/none 2>err
one_line err
