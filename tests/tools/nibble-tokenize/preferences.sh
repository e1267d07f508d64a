# Preference pairs and ratings, and what is wrong with them.
tokenize() { nibble-tokenize -q --model="$tiny_model" "$@"; }
bad() { # TEXT RECORD
  { echo '{"chosen":[{"label":true,"text":"a"}],"rejected":[{"label":true,"text":"b"}]}'; echo "$2"; } >in.jsonl
  expect 65 tokenize in.jsonl >out 2>err
  one_line err
  grep -qF "in.jsonl:2: $1" err || fail "$(cat err): wanted $1"
  tokenize in.jsonl --skip-bad 2>err >out
  [ "$(wc -l <out)" = 1 ]
}
bad 'chosen[0] has no "label", true or false' '{"chosen":[{"text":"a"}],"rejected":[{"label":true,"text":"b"}]}'
bad '"rejected" is text, not an array' '{"chosen":[],"rejected":"b"}'
bad 'a preference pair with an empty side' '{"chosen":[{"label":true,"text":"a"}],"rejected":[]}'
bad 'a preference pair with an empty side' '{"chosen":[{"label":true,"text":"a"}],"rejected":[{"label":true,"text":""}]}'
bad '"label" is no boolean' '{"segments":[{"label":true,"text":"a"}],"label":1}'
bad 'malformed JSON' '{"segments":[{"label":true,"text":"\ud800"}]}'
bad 'malformed JSON' "$(printf '{"segments":[{"label":true,"text":"\xff"}]}')"
bad 'segments[0] has no "text"' '{"segments":[{"label":true,"text":7}]}'
bad 'segments[0] has no "text"' '{"segments":[{"label":true,"text":null}]}'
# Both sides get bos and eos as an example does.
model=$CASES/../../text/golden/pieces.model
echo '{"chosen":[{"label":false,"text":"the "},{"label":true,"text":"river"}],"rejected":[{"label":false,"text":"the "},{"label":true,"text":"mill"}]}' >pair.jsonl
nibble-tokenize -q --model=$model --eos pair.jsonl >row
grep -q '^{"prompt_ids":\[1,.*"chosen_labels":\[[0-9,]*,2\],"rejected_ids":\[[0-9,]*,2\],' row
nibble-tokenize -q --model=$model --eos --decode row >back
nibble-tokenize -q --model=$model --eos back | cmp - row
