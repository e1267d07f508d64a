# OASST's trees, nested and as rows: the best path, or all with each answer learnt once.
cat >trees.jsonl <<'END'
{"message_tree_id":"t","tree_state":"ready_for_export","prompt":{"message_id":"1","text":"q","role":"prompter","replies":[{"message_id":"2","text":"worse","role":"assistant","rank":1,"replies":[]},{"message_id":"3","text":"better","role":"assistant","rank":0,"replies":[{"message_id":"4","text":"and?","role":"prompter","replies":[{"message_id":"5","text":"so","role":"assistant","replies":[]},{"message_id":"6","text":"no","role":"assistant","replies":[]}]}]}]}}
END
cat >rows.jsonl <<'END'
{"message_id":"1","parent_id":null,"text":"q","role":"prompter","rank":null,"message_tree_id":"t"}
{"message_id":"2","parent_id":"1","text":"worse","role":"assistant","rank":1.0,"message_tree_id":"t"}
{"message_id":"3","parent_id":"1","text":"better","role":"assistant","rank":0.0,"message_tree_id":"t"}
{"message_id":"4","parent_id":"3","text":"and?","role":"prompter","rank":null,"message_tree_id":"t"}
{"message_id":"5","parent_id":"4","text":"so","role":"assistant","rank":null,"message_tree_id":"t"}
{"message_id":"6","parent_id":"4","text":"no","role":"assistant","rank":null,"message_tree_id":"t"}
END
format() { nibble-format --template=vicuna "$@"; }
format trees.jsonl 2>err
grep -q 'records of the form oasst$' err
format -q trees.jsonl --paths=all
for paths in best all; do
  format -q trees.jsonl --paths=$paths >want
  format -q rows.jsonl --paths=$paths | cmp - want
  { printf '['; paste -sd, rows.jsonl; printf ']'; } | format -q --paths=$paths | cmp - want
done
# Many trees, over batches, in order.
for i in $(seq 3000); do sed "s/\"\([t1-6]\)\"/\"$i-\1\"/g; s/better/better $i/" rows.jsonl; done >many.jsonl
format -q many.jsonl --paths=all --threads=3 >out
[ "$(wc -l <out)" = 9000 ]
grep -o 'better [0-9]*' out | uniq | diff - <(seq -f 'better %.0f' 3000)
# What is deleted is left out and counted; questions nobody answered too.
sed '3s/"rank"/"deleted":true,"rank"/' rows.jsonl | format --paths=all 2>err >out
[ "$(wc -l <out)" = 1 ]
grep -q ': 1 deleted messages of trees were left out$' err
head -1 rows.jsonl | format 2>err >out
[ ! -s out ]
grep -q ': 1 records hold no text and were skipped$' err
# A reply far from its tree.
{ cat rows.jsonl; sed 's/"t"/"u"/' rows.jsonl | head -1; tail -1 rows.jsonl; } >apart.jsonl
expect 65 format -q apart.jsonl 2>err
one_line err
grep -q 'apart.jsonl:8: message 1 of the tree: its parent "4" is not among' err
