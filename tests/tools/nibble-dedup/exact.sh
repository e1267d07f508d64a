# The first of equal records stays, as it stands; what goes is written with its reason; the order and
# what goes are the same for any number of threads, from files, pipes, arrays and zstd.
cat >data.jsonl <<'END'
{"instruction":"Add 1 and 2.","output":"3"}
{"output": "3", "instruction": "Add 1 and \u0032."}
{"instruction":"Add 1 and 2.","output":"three"}
{"instruction":"add 1, and 2","output":"3!"}
{"instruction":"Add 1 and 2.","output":"3","id":7}
{"instruction":"Add 1 and 2.","output":"3"}
{"instruction":"!","output":"?"}
{"instruction":"?","output":"!"}
END
lines() { awk -v want="$1" 'BEGIN { n = split(want, w, " "); for (i = 1; i <= n; ++i) keep[w[i]] = 1 } FNR in keep' data.jsonl; }
nibble-dedup data.jsonl -o out.jsonl --removed=gone.jsonl 2>err
lines "1 3 4 5 7 8" | cmp - out.jsonl
grep -q '^nibble-dedup: 8 records read, 6 kept, 2 removed (25%): 2 duplicates$' err
cat >want <<'END'
{"removed":"duplicate","place":"data.jsonl:2","of":"data.jsonl:1","record":{"output": "3", "instruction": "Add 1 and \u0032."}}
{"removed":"duplicate","place":"data.jsonl:6","of":"data.jsonl:1","record":{"instruction":"Add 1 and 2.","output":"3"}}
END
cmp want gone.jsonl
# By words, by some fields, both; texts without words are equal only where they are.
nibble-dedup -q --normalize data.jsonl | cmp - <(lines "1 3 5 7 8")
nibble-dedup -q --fields=instruction data.jsonl | cmp - <(lines "1 4 7 8")
nibble-dedup -q --fields=instruction --normalize data.jsonl | cmp - <(lines "1 7 8")
nibble-dedup -q --fields=instruction,output --normalize data.jsonl | cmp - <(lines "1 3 7 8")
# Records known before are compared with and not written.
head -1 data.jsonl >known.jsonl
nibble-dedup -q --known=known.jsonl data.jsonl --removed=gone.jsonl | cmp - <(lines "3 4 5 7 8")
grep -q '"place":"data.jsonl:1","of":"known.jsonl:1"' gone.jsonl

awk 'BEGIN { for (i = 0; i < 30000; ++i) print "{\"text\":\"line " i * 7919 % 20011 "\"}" }' >many.jsonl
nibble-dedup -q --threads=1 many.jsonl --removed=gone1.jsonl -o 1.jsonl
[ "$(wc -l <1.jsonl)" = 20011 ] && [ "$(wc -l <gone1.jsonl)" = 9989 ]
awk '!seen[$0]++' many.jsonl | cmp - 1.jsonl
for threads in 2 3 7; do
  nibble-dedup -q --threads=$threads many.jsonl --removed=gone.zst -o 2.zst
  zstd -dcq 2.zst | cmp - 1.jsonl
  zstd -dcq gone.zst | cmp - gone1.jsonl
done
nibble-dedup -q <many.jsonl | cmp - 1.jsonl
(echo '['; sed '$!s/$/,/' many.jsonl; echo ']') >array.json
nibble-dedup -q array.json | cmp - 1.jsonl
nibble-dedup -q many.jsonl -o many.jsonl
cmp many.jsonl 1.jsonl
