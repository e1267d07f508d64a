# What cannot be read or done is named, and nothing is left behind.
echo '{"a":"one"}' >good.jsonl
printf '%s\n' '{"a":"one"}' '{"a":' '[1]' 'text' '{"b":"no a"}' '{"a":"\ud800"}' >bad.jsonl
printf '{"a":"\xff"}\n{"a":"x\0y"}\n{"a":"two"}\n{"a":null}\n{"a":5}\n' >>bad.jsonl
try() { # try CODE PATTERN ARGUMENTS...
  expect "$1" nibble-dedup "${@:3}" 2>err >out
  one_line err
  grep -q -- "$2" err || fail "$(cat err)"
  [ ! -s out ]
}
try 64 'nothing to remove' good.jsonl --no-exact
try 64 'normalize' good.jsonl --no-exact --normalize --near
try 64 'near' good.jsonl --near=0
try 64 'near' good.jsonl --near=1.5
try 64 'near' good.jsonl --near=nan
try 64 'expected words:N' good.jsonl --near --shingle=lines:3
try 64 'N is a number' good.jsonl --near --shingle=words:0
try 64 'names no field' good.jsonl --fields=a..b
try 64 'named twice' good.jsonl -o x --removed=x
try 64 'good.jsonl' good.jsonl --removed=good.jsonl
try 64 'here it is --near' good.jsonl --threshold=0.5
try 66 'absent.jsonl' good.jsonl --against=absent.jsonl
try 66 'absent.jsonl' good.jsonl --known=absent.jsonl
try 65 'bad.jsonl:2: malformed JSON' bad.jsonl --removed=r -o o
try 65 'bad.jsonl:2: malformed JSON' good.jsonl --against=bad.jsonl --removed=r -o o
try 65 'bad.jsonl:2: malformed JSON' good.jsonl --known=bad.jsonl --removed=r -o o
[ "$(ls)" = $'bad.jsonl\nerr\ngood.jsonl\nout' ]
for how in --exact --near --novelty --against=good.jsonl; do
  nibble-dedup bad.jsonl --fields=a $how --no-exact --exact --skip-bad -o o --removed=r 2>err
  [ "$(grep -c 'bad.jsonl:\([234678]\|5\|10\): .*; skipped$' err)" = 8 ] || fail "$(cat err)"
  grep -q 'bad.jsonl:5: no "a"; skipped$' err
  grep -q ': 8 bad records were skipped$' err
  [ "$(cat o)" = $'{"a":"one"}\n{"a":"two"}\n{"a":5}' ]
done
try 65 'bad.jsonl:10: .*(7 bad records' bad.jsonl --fields=a --skip-bad=7 -q
# No room for shingles.
awk 'BEGIN { while (n++ < 40000) print "{\"a\":\"" n " b " n + 1 " c " n + 2 " d\"}" }' >long.jsonl
(ulimit -f 1; expect 74 nibble-dedup --near long.jsonl 2>&1 >/dev/null | cat >err)
grep -q 'cannot write a temporary file: File too large; set TMPDIR' err
TMPDIR=/absent expect 73 nibble-dedup good.jsonl --near 2>err
one_line err
: >empty.jsonl
nibble-dedup empty.jsonl --near --novelty 2>err | cmp - empty.jsonl
grep -q '0 records read, 0 kept, 0 removed$' err
