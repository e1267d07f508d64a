# A broken array cannot be passed over, since its end is not known; a bad item in a sound one can.
echo '[{"text":"a"},' >cut.json
expect 65 nibble-format cut.json -q --skip-bad -o out.jsonl 2>err
one_line err
grep -q 'cut.json:2: the array ends early' err
[ ! -e out.jsonl ]
printf '[\n{"text":"a"},\n{"text":7},\n{"text":"b"}\n]' >item.json
expect 65 nibble-format item.json -q 2>err
grep -q 'item.json:3, item 1: "text" is a number, not text' err
nibble-format item.json -q --skip-bad
