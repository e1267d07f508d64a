# Completions come in the order of the prompts, each its record and three fields more; the same
# however many grow together, from files, a pipe or compressed; and the draws are the seed's.
tiny_data
nibble-train -q --threads=1 --model=model --data=train.nbp --modules-to-save=embed_tokens,lm_head --batch-size=1 --epochs=10 \
  --learning-rate=0.01 -o adapter
for i in $(seq 11); do printf '{"id":%d,"prompt":"item %d"}\n' "$i" "$i"; done >prompts.jsonl
generate() { nibble-generate -q --threads=1 --model=model --compute=f32 --max-tokens=12 --raw "$@"; }
generate prompts.jsonl >whole
[ "$(grep -cE '^\{"id": ?[0-9]+, ?"prompt": ?"item [0-9]+", ?"completion": ?".*", ?"tokens": ?[0-9]+, ?"finish_reason": ?"(stop|length)"\}$' whole)" = 11 ] || fail "$(head -1 whole)"
grep -o '"id": *[0-9]*' whole | grep -o '[0-9]*' | cmp - <(seq 11)
for size in 1 2 64; do generate --batch-size=$size prompts.jsonl | cmp - whole; done
generate <prompts.jsonl | cmp - whole
zstd -q prompts.jsonl -o prompts.zst
generate prompts.zst -o from-zst
cmp from-zst whole
head -4 prompts.jsonl >one
tail -n +5 prompts.jsonl >two
generate one two | cmp - whole
: >empty
generate empty >none
[ ! -s none ]

# An adapter changes what is said, and so does a temperature; the draws are the seed's alone.
generate --adapter=adapter prompts.jsonl >adapted
! cmp -s whole adapted || fail "the adapter does nothing"
# One text, printed as it comes, is the record's.
generate --adapter=adapter --prompt="item 3" >text
[ "$(wc -l <text)" = 1 ]
grep -qF "\"completion\": \"$(cat text)\"" <(sed -n 3p adapted) || fail "$(cat text), but $(sed -n 3p adapted)"
warm() { generate --temperature=1 --top-k=50 --top-p=0.95 --min-p=0.01 --repetition-penalty=1.1 prompts.jsonl "$@"; }
warm --seed=1 >warm
warm --seed=1 --batch-size=3 | cmp - warm
warm --seed=2 >other
! cmp -s warm other || fail "the seed does nothing"

# A stop string ends a completion before itself; --max-tokens bounds it.
generate --adapter=adapter --stop=costs prompts.jsonl >stopped
grep -q '"completion": *"[^"]*costs' adapted || fail "nothing was learnt: $(head -2 adapted)"
! grep -q '"completion": *"[^"]*costs' stopped || fail "a stop string was written"
grep -q '"finish_reason": *"stop"' stopped
generate --max-tokens=3 prompts.jsonl | grep -c '"tokens": *3,' | cmp - <(echo 11)
