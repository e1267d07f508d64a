# A filter may write over its own input: that is replaced when all of it has been read.
awk 'BEGIN { for (i = 0; i < 20000; ++i) print "{\"text\":\"line " i "\"}" }' >rows.jsonl
nibble-format -q rows.jsonl -o want.jsonl
nibble-format -q rows.jsonl -o rows.jsonl
cmp want.jsonl rows.jsonl
nibble-tokenize -q --model="$tiny_model" rows.jsonl -o want.jsonl
nibble-tokenize -q --model="$tiny_model" rows.jsonl -o ./rows.jsonl
cmp want.jsonl rows.jsonl
