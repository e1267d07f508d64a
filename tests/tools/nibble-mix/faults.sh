# What cannot be mixed is named.
echo '{"n":1}' >a.jsonl
printf '%s\n' '{"n":1}' '{"n":' '{"n":3}' '7' >bad.jsonl
: >empty.jsonl
try() { # try CODE PATTERN ARGUMENTS...
  expect "$1" nibble-mix "${@:3}" 2>err >out </dev/null
  one_line err
  grep -q -- "$2" err || fail "$(cat err)"
  [ ! -s out ]
}
try 64 'no files to mix'
try 64 'has 1 numbers for 2 files' a.jsonl bad.jsonl --weights=1
try 64 '"x" is no number' a.jsonl --weights=x
try 64 '"nan" is no number' a.jsonl --weights=nan
try 64 '"-1" is no number' a.jsonl --epochs=-1
try 64 'all are 0' a.jsonl bad.jsonl --weights=0,0
try 64 'exclude each other' a.jsonl --weights=1 --temperature=2
try 64 'stop is for' a.jsonl --stop=all_exhausted
try 64 'read more than once' -
try 64 'named twice' - - --weights=1,1
try 64 'a.jsonl' a.jsonl -o a.jsonl
try 64 'here it is --weights' a.jsonl --probabilities=1
try 66 'absent.jsonl' a.jsonl absent.jsonl
try 65 'bad.jsonl:2: malformed JSON' a.jsonl bad.jsonl
try 65 'bad.jsonl:2: malformed JSON' a.jsonl bad.jsonl --weights=1,1 --stop=all_exhausted
try 65 'bad.jsonl:4: not a JSON object.*(1 bad records' bad.jsonl --skip-bad=1 --weights=1 -q
nibble-mix bad.jsonl --epochs=3 --skip-bad -o out 2>err
[ "$(cat out)" = "$(printf '%s\n' '{"n":1}' '{"n":3}' '{"n":1}' '{"n":3}' '{"n":1}' '{"n":3}')" ]
[ "$(grep -c 'bad.jsonl:[24]: .*; skipped$' err)" = 2 ] && grep -q ': 2 bad records were skipped$' err
nibble-mix a.jsonl empty.jsonl --weights=1,1 2>err | cmp - a.jsonl
grep -q 'empty.jsonl: 0 records.*nothing is taken from it' err
nibble-mix -q empty.jsonl | cmp - /dev/null
