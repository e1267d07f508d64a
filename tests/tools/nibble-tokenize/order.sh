# Rows come in the order of the input whatever the threads, over many batches.
model=$CASES/../../text/golden/llama3.json
awk 'BEGIN { while (n++ < 30000) print "line " n " of the river" (n % 97 == 0 ? " and a long one" : "") }' >text
nibble-tokenize --model=$model --text --threads=1 -q text -o one.jsonl
nibble-tokenize --model=$model --text --threads=7 -q text -o many.jsonl
cmp one.jsonl many.jsonl
nibble-tokenize --model=$model --decode --text -q many.jsonl | cmp text
