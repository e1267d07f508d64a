# What cannot be split is named, with its line, and nothing is left behind.
echo '{"text":"one","kind":"a"}' >good.jsonl
try() { # try CODE PATTERN ARGUMENTS...
  expect "$1" nibble-split "${@:3}" 2>err >out
  one_line err
  grep -q -- "$2" err || fail "$(cat err)"
}
try 64 'nothing to split off' good.jsonl
try 64 'more than 1 together' good.jsonl --test=t --validation=v --test-size=0.6 --validation-size=0.6
try 64 'named twice' good.jsonl --test=t --validation=t
try 64 'good.jsonl' good.jsonl --test=good.jsonl
try 64 'names no field' good.jsonl --test=t --key=a..b
try 64 'here it is --key' good.jsonl --test=t --group=kind
try 64 'test-size' good.jsonl --test=t --test-size=1.5
try 66 'absent.jsonl' absent.jsonl --test=t
try 65 'good.jsonl:1: no "person"' good.jsonl --test=t --key=person
try 65 'good.jsonl:1: no "person"' good.jsonl --test=t --stratify=person
printf '%s\n' '{"a":1}' '{"a":' '[1]' 'text' '{"a":null}' '{"a":"\ud800"}' '{"a":2}' >bad.jsonl
printf '{"a":"\xff"}\n{"a":"x\0y"}\n' >>bad.jsonl
try 65 'bad.jsonl:2: malformed JSON' bad.jsonl --test=t -o o
[ "$(ls)" = $'bad.jsonl\nerr\ngood.jsonl\nout' ]
nibble-split bad.jsonl --test=t -o o --skip-bad 2>err
[ "$(grep -c 'bad.jsonl:[23468]: .*; skipped$\|bad.jsonl:9: .*; skipped$' err)" = 6 ]
grep -q ': 6 bad records were skipped$' err
[ "$(sort t o)" = $'{"a":1}\n{"a":2}\n{"a":null}' ]
try 65 'bad.jsonl:9: .*(5 bad records' bad.jsonl --test=t2 -o o2 -q --skip-bad=5
[ ! -e t2 ] && [ ! -e o2 ]
: >empty.jsonl
nibble-split empty.jsonl --test=t -o o 2>err
[ ! -s t ] && [ ! -s o ] && grep -q 'no record is left to test on' err
