# Every value of a field has its shares in every part, small ones too; data that grows at its end
# keeps its parts, and equal records stay together.
awk 'BEGIN { for (i = 0; i < 3000; ++i) {
  kind = i % 300 == 0 ? "rare" : i % 3 ? "common" : "other"
  print "{\"kind\":\"" kind "\",\"text\":\"line " i "\"}" } }' >data.jsonl
nibble-split data.jsonl --stratify=kind --test=test.jsonl --test-size=0.2 -o train.jsonl 2>err
grep -q '; 3 values of kind$' err
for kind in rare common other; do
  all=$(grep -c $kind data.jsonl) test=$(grep -c $kind test.jsonl)
  [ $((test * 5)) -le $((all + 10)) ] && [ $((test * 5)) -ge $((all - 10)) ] || fail "$kind: $test of $all"
done
cat data.jsonl data.jsonl <(sed 's/line/more/' data.jsonl) >grown.jsonl
nibble-split -q --threads=3 grown.jsonl --stratify=kind --test=test2.jsonl --test-size=0.2 -o train2.jsonl
[ -z "$(comm -12 <(sort test2.jsonl) <(sort train2.jsonl))" ]
head "-n$(wc -l <train.jsonl)" train2.jsonl | cmp - train.jsonl
head "-n$(wc -l <test.jsonl)" test2.jsonl | cmp - test.jsonl
