# A tokenizer that is damaged: one line that names its file, what is wrong, and what to do.
echo '{"segments":[{"label":true,"text":"a"}]}' >segments.jsonl
refused() { # refused TEXT
  expect 65 nibble-tokenize -q --model=model segments.jsonl >out 2>err
  one_line err
  grep -qF -- "nibble-tokenize: model/tokenizer.json: $1" err || fail "$(cat err)"
  [ ! -s out ]
}
damaged="; the file is damaged, fetch it again"
cp -r "$tiny_model" model
whole=$tiny_model/tokenizer.json
: >model/tokenizer.json
refused "not JSON: Empty: no JSON found; check that the file is complete"
{ printf '\357\273\277'; cat "$whole"; } >model/tokenizer.json
refused "not JSON: "
head -c 2000 "$whole" >model/tokenizer.json
refused "not JSON: "
sed 's/"e": *[0-9]*/"e": 0.5/' "$whole" >model/tokenizer.json
refused "expected an integer, found a number$damaged"
sed 's/"e": *[0-9]*/"e": -1/' "$whole" >model/tokenizer.json
refused "token \"e\" has the id -1$damaged"
