# Paths that cannot be read or written: one line, the right code, nothing left, the old file kept.
echo '{"text":"a"}' >rows.jsonl
mkdir folder
try() { # CODE COMMAND...
  expect "$@" >out 2>err
  one_line err
  [ ! -s out ]
}
try 66 nibble-format -q none.jsonl
try 66 nibble-format -q rows.jsonl none.jsonl -o new.jsonl
try 66 nibble-format -q folder
try 73 nibble-format -q rows.jsonl -o none/out.jsonl
try 73 nibble-format -q rows.jsonl -o folder
try 74 nibble-format -q rows.jsonl -o /dev/full
expect 74 nibble-format -q rows.jsonl >/dev/full 2>err
one_line err
echo old >kept.jsonl
echo '{' >broken.jsonl
try 65 nibble-format -q broken.jsonl -o kept.jsonl
[ "$(cat kept.jsonl)" = old ]
nibble-format -q rows.jsonl -o rows.jsonl.zst
head -c 10 rows.jsonl.zst >cut.zst
try 65 nibble-format -q cut.zst
grep -q 'cut.zst' err
rm out err
[ "$(echo *)" = 'broken.jsonl cut.zst folder kept.jsonl rows.jsonl rows.jsonl.zst' ]
