# Records are counted; a malformed line is named and makes --verify say no.
printf '{"input_ids": [1], "labels": [1]}\n{"input_ids": [2], "labels": [2]}\n' >rows.jsonl
nibble-inspect rows.jsonl
nibble-inspect --json rows.jsonl
nibble-inspect --verify rows.jsonl >/dev/null
printf '{"input_ids":\n' >>rows.jsonl
expect 1 nibble-inspect --verify rows.jsonl >out
grep -q '^fault: rows.jsonl:3' out
expect 65 nibble-inspect rows.jsonl 2>err >&2
one_line err
