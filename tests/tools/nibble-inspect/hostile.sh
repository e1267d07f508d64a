# Data that lies: one line with its place, 65; nothing crashes and nothing is shown by halves.
bad() { # TEXT RECORD [OPTION...]
  printf "$2" >x.jsonl
  local mode
  for mode in --show --stats; do
    expect 65 nibble-inspect $mode x.jsonl --model="$tiny_model" >out 2>err
    one_line err
    grep -qF -- "$1" err || fail "$mode $2: $(cat err)"
  done
}
bad 'x.jsonl:1: malformed JSON' '{"segments":[{"label":true,"text":"\xff"}]}'
bad 'x.jsonl:1: malformed JSON' '{"input_ids":[1,2'
bad 'x.jsonl:1: input_ids[0] is 264, not in the model' '{"input_ids":[264]}'
bad 'x.jsonl:1: input_ids[0] is -1' '{"input_ids":[-1]}'
bad 'x.jsonl:1: labels[0] is 5, neither its token (1) nor -100' '{"input_ids":[1],"labels":[5]}'
bad 'x.jsonl:1: "labels" is null' '{"input_ids":[1],"labels":null}'
bad 'x.jsonl:1: of no known form (it has "a"; --fields says which is which); mend it or use --skip-bad' '{"a":1}'
bad 'x.jsonl:1: malformed JSON' 'a\0b'
bad 'x.jsonl:2: of the form text, where the file is of the form prompt (x.jsonl:1)' '{"prompt":"p","completion":"c"}\n{"text":"t"}'
bad 'x.jsonl:1: message 1: role "usr" is none of' '{"messages":[{"role":"usr","content":"q"}]}'
for mode in --show --stats; do # without a model
  echo '{"input_ids":[-1]}' >x.jsonl
  expect 65 nibble-inspect $mode x.jsonl >out 2>err
  one_line err
  grep -q "x.jsonl:1: input_ids\[0\] is -1, which no token has; " err || fail "$(cat err)"
done
printf 'a,b\n1\n' >x.csv
expect 65 nibble-inspect --stats x.csv --from=prompt 2>err
one_line err
grep -q 'x.csv:2: has 1 cell, where the header has 2' err
expect 66 nibble-inspect --stats none.jsonl 2>err
one_line err
# What stands in the text does not reach the terminal.
printf '{"text":"\\u001b[31mred\\u001b]0;title\\u0007\\u202e\\u009b"}\n' >x.jsonl
nibble-inspect --show x.jsonl >out
! LC_ALL=C grep -q $'[\x01-\x09\x0b-\x1f\x7f]' out || fail "control characters were shown"
grep -qF '␛[31mred␛]0;title␇\u202e\u009b' out
