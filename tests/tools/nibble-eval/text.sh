# A text, from a file, compressed, or from a pipe: the same report, as a table or as JSON; the log
# holds every scored token once, and its sum is the report's.
tiny_data 60
eval_() { nibble-eval -q --threads=1 --model=model --compute=f32 "$@"; }
eval_ --perplexity=text.txt --length=64 --stride=32 --log=log >table
eval_ --perplexity=text.txt --length=64 --stride=32 --json >json
eval_ --perplexity=- --length=64 --stride=32 --json <text.txt | cmp - json
zstd -q text.txt
eval_ --perplexity=text.txt.zst --length=64 --stride=32 --json | cmp - json
[ "$(cut -f1 table | tr '\n' ' ')" = "tokens loss perplexity words bytes bits_per_byte byte_perplexity word_perplexity length stride " ]
tokens=$(awk -F'\t' '$1 == "tokens" { print $2 }' table)
[ "$(wc -l <log)" = "$tokens" ]
awk -F'[:,}]' -v first=1 '{ if ($2 + 0 != first++) exit 1 }' log || fail "positions are not 1, 2, 3..."
loss=$(awk -F'\t' '$1 == "loss" { print $2 }' table)
# Log-probabilities are printed as floats: 2^-24 of each, some 5.6.
awk -F'[:,}]' -v loss="$loss" '{ sum -= $(NF - 1) } END { d = sum / NR - loss; exit !(d < 1e-6 && d > -1e-6) }' log ||
  fail "the log's mean is not the loss $loss"

# An untrained model knows nothing: as good as a draw among the vocabulary's 264, to a few percent.
awk -v loss="$loss" 'BEGIN { exit !(loss > 5.4 && loss < 5.8) }' || fail "loss $loss"
# What it was trained on it knows better, and the adapter is what knows it.
nibble-train -q --threads=1 --model=model --data=train.nbp --modules-to-save=embed_tokens,lm_head --epochs=5 \
  --learning-rate=0.01 -o adapter
before=$(eval_ --data=train.nbp | awk -F'\t' '$1 == "loss" { print $2 }')
after=$(eval_ --data=train.nbp --adapter=adapter | awk -F'\t' '$1 == "loss" { print $2 }')
awk -v a="$after" -v b="$before" 'BEGIN { exit !(a < b - 1) }' || fail "loss $before before, $after after"
