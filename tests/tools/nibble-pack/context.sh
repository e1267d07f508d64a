# A sequence longer than the model's context is worth a warning; a row of several is not.
echo "{\"input_ids\":[$(seq -s, 0 255),$(seq -s, 0 255)]}" >512.jsonl
sed 's/]/,7]/' 512.jsonl >513.jsonl
nibble-pack --model="$tiny_model" --length=2048 512.jsonl 512.jsonl -o x.nbp
nibble-pack --model="$tiny_model" --length=2048 513.jsonl 512.jsonl -o x.nbp
