# The rows of Stanford Alpaca in a template by name; JSON lines, an array and zstd all read alike.
cat >rows.jsonl <<'END'
{"instruction": "Add the numbers.", "input": "1 2", "output": "3"}
{"instruction": "Say \"h\u00e9\".", "input": "", "output": "h\u00e9"}

{"instruction": "No input", "output": "fine", "id": 7}
END
{ printf '[\n'; grep . rows.jsonl | sed '$!s/$/,/'; printf ']\n'; } >rows.json
nibble-format rows.jsonl --template=chatml
nibble-format rows.jsonl --template=chatml -q -o lines.jsonl
nibble-format rows.json --template=chatml -q -o array.jsonl.zst
nibble-format --template=chatml -q <rows.jsonl >piped.jsonl
nibble-format --template=chatml -q - <rows.json >dash.jsonl
[ "$(head -c 4 array.jsonl.zst | od -An -tx1)" = " 28 b5 2f fd" ]
for copy in piped dash; do cmp lines.jsonl $copy.jsonl; done
# What was packed is read back, and says the same.
expect 65 nibble-format array.jsonl.zst -q 2>err
grep -q 'array.jsonl.zst:1: of no known form (it has "segments"; ' err
