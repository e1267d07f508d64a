# New tokens through the whole pipeline: text becomes their ids, training learns them, the adapter
# brings the longer tokenizer, generation says them, merged and exported models keep them.
tiny_data
printf '%s\n' '<|price|>' '{"content": "<|end|>", "special": true}' >tokens.txt
awk 'BEGIN { for (i = 0; i < 60; ++i)
  print "{\"prompt\":\"item " i % 7 "\",\"completion\":\"<|price|> " i % 7 + 1 " <|price|><|end|>\"}" }' >records.jsonl
nibble-format -q records.jsonl -o segments.jsonl
on="--model=model --add-tokens=tokens.txt"
nibble-tokenize -q $on segments.jsonl -o rows.jsonl
[ "$(grep -c '"input_ids":\[.*264.*264,265' rows.jsonl)" = 60 ] || fail "$(head -1 rows.jsonl)"
nibble-tokenize -q $on --decode rows.jsonl | cmp - segments.jsonl
# What was not told of them does not know them.
expect 65 nibble-pack -q --model=model --length=64 rows.jsonl -o none.nbp 2>err
grep -q 'rows.jsonl:1: input_ids\[[0-9]*\] is 264, not in the model.s vocabulary of 264 tokens' err || fail "$(cat err)"
nibble-pack -q $on --length=64 rows.jsonl -o new.nbp
train() { nibble-train -q --threads=1 --model=model --data=new.nbp --compute=f32 "$@"; }
expect 65 train --steps=1 -o none 2>err
grep -q "new.nbp: made with another tokenizer" err
expect 65 nibble-train -q $on --data=train.nbp --steps=1 -o none 2>err
grep -q "train.nbp: made with another tokenizer" err
[ ! -e none ]

options=(--add-tokens=tokens.txt --steps=60 --learning-rate=0.01 --batch-size=2 --save-every=40)
train "${options[@]}" -o adapter
grep -q '"vocab_size": 264' model/config.json
nibble-inspect --verify adapter >/dev/null
train "${options[@]}" -o again
rm again/adapter* again/tokenizer*
train "${options[@]}" -o again --resume
cmp adapter/adapter_model.safetensors again/adapter_model.safetensors
cmp adapter/tokenizer.json again/tokenizer.json
printf '%s\n' '<|price|>' '<|stop|>' >others.txt
nibble-tokenize -q --model=model --add-tokens=others.txt segments.jsonl |
  nibble-pack -q --model=model --add-tokens=others.txt --length=64 -o others.nbp
rm again/adapter*
expect 65 train "${options[@]}" --add-tokens=others.txt --data=others.nbp -o again --resume 2>err
one_line err
grep -q -- "--[a-z-]* is not the one of the first run" err || fail "$(cat err)"

# The adapter knows its words; so does what is merged, dense or in 4 bits, and what comes of it.
generate() { nibble-generate -q --threads=1 --compute=f32 --raw --max-tokens=12 "$@"; }
for i in 0 3 6; do echo "{\"prompt\":\"item $i\"}"; done >prompts.jsonl
generate --model=model --adapter=adapter prompts.jsonl -o said.jsonl
[ "$(grep -c '"completion": *"<|price|> [1-7] <|price|>' said.jsonl)" = 3 ] || fail "$(cat said.jsonl)"
loss() { nibble-eval -q --threads=1 --compute=f32 "$@" | sed -n 's/^loss\t//p'; }
awk -v l="$(loss --model=model --adapter=adapter --data=new.nbp)" 'BEGIN { exit !(l < 1) }' || fail "it has not learnt"
nibble-merge -q --model=model --adapter=adapter -o merged
grep -q '"vocab_size": 266' merged/config.json
cmp adapter/tokenizer.json merged/tokenizer.json
nibble-inspect --verify merged >/dev/null
generate --model=merged prompts.jsonl | cmp - said.jsonl
nibble-tokenize -q --model=merged segments.jsonl | cmp - rows.jsonl
nibble-quantize -q merged -o merged-nf4
loss --model=merged-nf4 --data=new.nbp >/dev/null
nibble-export -q merged -o merged.gguf --type=f32
nibble-import -q merged.gguf -o back
nibble-tokenize -q --model=back segments.jsonl | cmp - rows.jsonl
generate --model=back prompts.jsonl | cmp - said.jsonl

# A 4-bit base, and going on from the adapter with its own tokenizer.
nibble-quantize -q model -o nf4
nibble-train -q --threads=1 --model=nf4 --data=new.nbp "${options[@]}" -o qlora
nibble-merge -q --model=nf4 --adapter=qlora -o qmerged
nibble-inspect --verify qmerged >/dev/null
train --adapter=adapter --steps=2 -o further
cmp adapter/tokenizer.json further/tokenizer.json
generate --model=model --adapter=further prompts.jsonl >/dev/null
# All weights.
train --method=full --add-tokens=tokens.txt --steps=2 -o full
grep -q '"vocab_size": 266' full/config.json
loss --model=full --data=new.nbp >/dev/null

# Lists that are none.
: >empty.txt
printf 'a\na\n' >twice.txt
printf '{"content": 7}\n' >number.txt
printf '\377\n' >bytes.txt
for list in absent:66 empty:65 twice:65 number:65 bytes:65; do
  for tool in "nibble-tokenize segments.jsonl" "nibble-pack --length=64 rows.jsonl -o none.nbp" "nibble-train --data=new.nbp -o none"; do
    expect ${list#*:} $tool -q --model=model --add-tokens=${list%:*}.txt 2>err >out
    one_line err
    grep -q "${list%:*}.txt" err || fail "$(cat err)"
    [ ! -s out ] && [ ! -e none ] && [ ! -e none.nbp ]
  done
done
