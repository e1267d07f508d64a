# Paths that cannot be read or written, and models that have no tokenizer: one line, the right code,
# nothing left.
model=$CASES/../../text/golden/gpt2.json
echo '{"segments":[{"label":true,"text":"a"}]}' >in.jsonl
mkdir folder
try() { # CODE COMMAND...
  expect "$@" >out 2>err
  one_line err
  [ ! -s out ]
}
try 64 nibble-tokenize in.jsonl
try 66 nibble-tokenize --model=none in.jsonl
try 66 nibble-tokenize --model=folder in.jsonl
grep -q 'folder: no tokenizer.json and no tokenizer.model' err
try 66 nibble-tokenize -q --model=$model none.jsonl
try 73 nibble-tokenize -q --model=$model in.jsonl -o none/out.jsonl
try 74 nibble-tokenize -q --model=$model in.jsonl -o /dev/full
expect 74 nibble-tokenize -q --model=$model in.jsonl >/dev/full 2>err
one_line err
head -c 300 $model >folder/tokenizer.json
try 65 nibble-tokenize --model=folder in.jsonl
grep -q '^nibble-tokenize: folder/tokenizer.json: ' err
echo '{"model":{"type":"Unigram","vocab":[]}}' >folder/tokenizer.json
try 69 nibble-tokenize --model=folder in.jsonl
grep -q 'folder/tokenizer.json: tokenizer model "Unigram" is not supported' err
rm out err
[ "$(echo *)" = 'folder in.jsonl' ]
