# A bad row is named by file and line and nothing is kept; --skip-bad passes over it.
cat >rows.jsonl <<'END'
{"input_ids":[1,2,3]}
{"input_ids":[1,2,264]}
{"input_ids":[1,2,3],"labels":[1,2]}
{"input_ids":[1,2,3],"labels":[-100,2,2]}
{"input_ids":[1,2
{"ids":[1]}
{"input_ids":[4,5,6]}
END
expect 65 nibble-pack --model="$tiny_model" --length=8 rows.jsonl -o out.nbp 2>err
grep -q "rows.jsonl:2: input_ids\[2\] is 264, not in the model's vocabulary of 264 tokens; mend" err
[ "$(ls)" = $'err\nrows.jsonl' ]
nibble-pack --model="$tiny_model" --length=8 rows.jsonl --skip-bad -o out.nbp 2>err
for line in 2 3 4 5 6; do grep -q "^nibble-pack: rows.jsonl:$line: .*; skipped$" err; done
grep -q ': 5 bad rows were skipped$' err
tail -c 200 out.nbp | grep -aq '"tokens": *6,'
