# Real instruction data with real tokenizers, as people run it: every example is kept, none is
# split, and packing needs at most one row more than the tokens do.
need_data
check() { # TOKENIZER LENGTH [OPTION...]
  local model=$NIBBLE_DATA/tokenizers/$1 length=$2
  nibble-format -q "$NIBBLE_DATA/instructions/alpaca_5000.json" "${@:3}" |
    nibble-tokenize -q --model="$model" >rows.jsonl
  nibble-pack --model="$model" --length="$length" rows.jsonl -o x.nbp 2>err
  cat err >&2
  tail -c 200 x.nbp | grep -ao '{"rows.*}' |
    awk -F'[:,} ]+' -v length_="$length" -v name="$1" '{
      rows = $2; sequences = $4; tokens = $6; trained = $8
      need = int((tokens + length_ - 1) / length_)
      if (sequences != 5000 || rows > need + 1 || trained < tokens / 2 || trained > 0.8 * tokens) {
        print name, length_, $0, "need", need; exit 1 }
    }'
}
for length in 2048 4096; do
  check smollm2 $length --template=chatml --model="$NIBBLE_DATA/tokenizers/smollm2"
  check gpt2 $length --template=alpaca --model="$NIBBLE_DATA/tokenizers/gpt2"
done
