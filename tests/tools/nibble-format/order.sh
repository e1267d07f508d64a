# The same lines in the same order, whatever the number of threads.
for i in $(seq 20000); do echo "{\"prompt\":\"question $i\",\"completion\":\"answer $i\"}"; done >rows.jsonl
nibble-format -q --threads=1 rows.jsonl -o 1.jsonl
for threads in 2 3 7; do
  nibble-format -q --threads=$threads rows.jsonl -o $threads.jsonl
  cmp 1.jsonl $threads.jsonl
done
[ "$(wc -l <1.jsonl)" = 20000 ]
[ "$(sed -n 12345p 1.jsonl)" = '{"segments":[{"label":false,"text":"question 12345"},{"label":true,"text":"answer 12345"}]}' ]
