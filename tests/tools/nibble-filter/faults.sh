# What cannot be read or asked is named, and nothing is left behind.
echo '{"a":"one"}' >good.jsonl
printf '%s\n' '{"a":"one"}' '{"a":' '[1]' 'text' '{"b":"no a"}' '{"a":"\ud800"}' >bad.jsonl
printf '{"a":"\xff"}\n{"a":"x\0y"}\n{"a":"two"}\n' >>bad.jsonl
try() { # try CODE PATTERN ARGUMENTS...
  expect "$1" nibble-filter "${@:3}" 2>err >out
  one_line err
  grep -q -- "$2" err || fail "$(cat err)"
  [ ! -s out ]
}
try 64 'nothing to filter by' good.jsonl
try 64 'need --model' good.jsonl --max-tokens=3
try 64 'is no number' good.jsonl --where='a<b'
try 64 'regular expression' good.jsonl --where='a~('
try 64 'names no field' good.jsonl --where='a..b=1'
try 64 'named twice' good.jsonl --where=a -o x --removed=x
try 66 'absent.jsonl' absent.jsonl --where=a
try 65 'bad.jsonl:2: malformed JSON' bad.jsonl --where=a --removed=r -o o
[ "$(ls)" = $'bad.jsonl\nerr\ngood.jsonl\nout' ]
try 65 'bad.jsonl:5: no "a"' bad.jsonl --fields=a --min-words=1 --skip-bad=3 -q
nibble-filter bad.jsonl --fields=a --min-words=1 --skip-bad -o o 2>err
[ "$(cat o)" = $'{"a":"one"}\n{"a":"two"}' ]
[ "$(grep -c 'bad.jsonl:[2345678]: .*; skipped$' err)" = 7 ] && grep -q ': 7 bad records were skipped$' err
# A condition is asked before a length, so that a missing field can be filtered out.
nibble-filter good.jsonl --where=b --fields=b --min-words=1 2>err
grep -q '1 removed: --where=b$' err
