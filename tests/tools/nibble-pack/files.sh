# Paths that cannot be read or written: one line, the right code, nothing left, the old file kept.
echo '{"input_ids":[1,2,3]}' >rows.jsonl
mkdir folder
try() { # CODE OPTION...
  expect "$1" nibble-pack -q --length=8 "${@:2}" >out 2>err
  one_line err
  [ ! -s out ]
}
try 64 rows.jsonl -o x.nbp                             # no model
try 64 rows.jsonl --model="$tiny_model"                # no output
try 64 rows.jsonl --model="$tiny_model" -o x.nbp --split-long --truncate
try 64 rows.jsonl --model="$tiny_model" -o x.nbp --mode=best
try 64 rows.jsonl --model="$tiny_model" -o x.nbp --length=1
try 64 rows.jsonl --model="$tiny_model" -o x.nbp --max-seq-length=9
grep -q -- '--length' err
try 64 rows.jsonl --model="$tiny_model" -o ./rows.jsonl
grep -q "rows.jsonl: is an input too, and would be replaced; name another output" err
[ -s rows.jsonl ]
try 66 none.jsonl --model="$tiny_model" -o x.nbp
try 66 rows.jsonl --model=none -o x.nbp
try 66 rows.jsonl --model=folder -o x.nbp
try 73 rows.jsonl --model="$tiny_model" -o none/x.nbp
try 73 rows.jsonl --model="$tiny_model" -o folder
try 74 rows.jsonl --model="$tiny_model" -o /dev/full
expect 74 nibble-pack -q --length=8 rows.jsonl --model="$tiny_model" -o - >/dev/full 2>err
one_line err
echo old >kept.nbp
echo '{' >broken.jsonl
try 65 broken.jsonl --model="$tiny_model" -o kept.nbp
[ "$(cat kept.nbp)" = old ]
rm out err
[ "$(echo *)" = 'broken.jsonl folder kept.nbp rows.jsonl' ]
