# Near duplicates by the Jaccard similarity of their shingles, and ROUGE-L novelty.
cat >data.jsonl <<'END'
{"instruction":"Name the three primary colours of light and say how they mix on a screen"}
{"instruction":"name the three primary colours of light, and say how they mix on a screen!"}
{"instruction":"Name the three primary colours of light and say how they mix on a page"}
{"instruction":"Write a poem"}
{"instruction":"Write a short poem"}
{"instruction":"!!"}
{"instruction":"??"}
END
# 13 shingles of 3 words each in lines 1 and 3, of which they share 12: 12/14.
nibble-dedup data.jsonl --near=0.85 --removed=gone.jsonl -o out.jsonl 2>err
sed -n '1p;4,$p' data.jsonl | cmp - out.jsonl
grep -q ': 7 records read, 5 kept, 2 removed (28.6%): 2 near duplicates$' err
grep -q '"removed":"near_duplicate","place":"data.jsonl:2","of":"data.jsonl:1","jaccard":1.0,"record":{' gone.jsonl
grep -q '"place":"data.jsonl:3","of":"data.jsonl:1","jaccard":0.857142857142857[0-9]*,' gone.jsonl
nibble-dedup -q data.jsonl --near=0.86 | cmp - <(sed 2d data.jsonl)
nibble-dedup -q data.jsonl --near --shingle=words:1 >bare
nibble-dedup -q data.jsonl --near=0.8 --shingle=words:1 | cmp - bare
# "write a poem", "write a short poem": 3 of 4 words, F = 6/7.
nibble-dedup data.jsonl --novelty=0.857 --removed=gone.jsonl -o out.jsonl 2>err
sed -n '1p;4p;6,$p' data.jsonl | cmp - out.jsonl
grep -q '"removed":"not_novel","place":"data.jsonl:5","of":"data.jsonl:4","rouge_l":0.857142857142857[0-9]*,' gone.jsonl
grep -q ': 3 not novel$' err
nibble-dedup -q data.jsonl --novelty=0.858 | grep -q short
nibble-dedup -q data.jsonl --novelty >bare
nibble-dedup -q data.jsonl --novelty=0.7 | cmp - bare

# The same whatever the number of threads and however the data comes.
awk 'BEGIN { for (i = 0; i < 12000; ++i) { x = i * 7919 % 1009
  print "{\"text\":\"alpha beta gamma delta number " x " of " x % 31 " and " i % 5 " then some more words follow here\"}" } }' >many.jsonl
for how in --near=0.6 --novelty=0.9; do
  nibble-dedup -q --threads=1 many.jsonl $how --removed=gone1.jsonl -o 1.jsonl
  [ -s gone1.jsonl ] && [ "$(wc -l <1.jsonl)" -gt 1 ]
  nibble-dedup -q --threads=3 $how --removed=gone3.jsonl <many.jsonl | cmp - 1.jsonl
  sed 's/(standard input)/many.jsonl/g' gone3.jsonl | cmp - gone1.jsonl
done
