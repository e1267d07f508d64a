# The three modes, examples longer than a row, and what is said about them.
row() { # N LABELLED: a row of N tokens, the last LABELLED of them trained on
  awk -v n="$1" -v k="$2" 'BEGIN {
    for (i = 1; i <= n; i++) { ids = ids (i > 1 ? "," : "") i; labels = labels (i > 1 ? "," : "") (i > n - k ? i : -100) }
    print "{\"input_ids\":[" ids "],\"labels\":[" labels "]}" }'
}
{ row 6 3; row 5 2; row 20 4; row 3 1; row 0 0; row 4 0; row 2 1; } >rows.jsonl
summary() { tail -c 200 "$1" | grep -ao '{"rows.*}'; }
nibble-pack --model="$tiny_model" --length=8 rows.jsonl -o pack.nbp
summary pack.nbp
for mode in pad group; do
  nibble-pack -q --model="$tiny_model" --length=8 --mode=$mode rows.jsonl -o $mode.nbp 2>$mode.err
  summary $mode.nbp
done
nibble-pack -q --model="$tiny_model" --length=8 --split-long rows.jsonl -o split.nbp 2>split.err
summary split.nbp
grep -q '1 example cut into pieces$' split.err
nibble-pack -q --model="$tiny_model" --length=18 --truncate - <rows.jsonl -o truncated.nbp 2>truncated.err
summary truncated.nbp
grep -q '1 example cut off at 18 tokens$' truncated.err
for mode in pack pad group; do grep -aq "\"mode\": *\"$mode\"" $mode.nbp; done
# Written to a pipe, it is the same.
nibble-pack -q --model="$tiny_model" --length=8 rows.jsonl -o - 2>err | cmp - pack.nbp
nibble-pack -q --model="$tiny_model" --length=8 rows.jsonl -o - >redirected.nbp 2>err
cmp redirected.nbp pack.nbp
