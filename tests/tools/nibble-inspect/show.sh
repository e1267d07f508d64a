# Examples as they are trained on, from every stage of the data, alike: what is learnt in ⟦ ⟧, special
# tokens in ‹ ›; in colour only where it is wanted.
cat >talks.jsonl <<'END'
{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}
{"messages":[{"role":"system","content":"s"},{"role":"user","content":"c\nd"},{"role":"assistant","content":"e"},{"role":"user","content":"f"},{"role":"assistant","content":""}]}
END
nibble-format -q --template="$tiny_model" talks.jsonl -o segments.jsonl
nibble-tokenize -q --model="$tiny_model" segments.jsonl -o rows.jsonl
nibble-pack -q --model="$tiny_model" --length=64 --mode=pad rows.jsonl -o train.nbp
nibble-inspect --show rows.jsonl --model="$tiny_model"
text() { nibble-inspect "$@" --show=2 | grep -v '^──'; }
text rows.jsonl --model="$tiny_model" >want
for file in talks.jsonl segments.jsonl train.nbp; do
  text $file --model="$tiny_model" | diff want -
done
text - --model="$tiny_model" <rows.jsonl | diff want -
text segments.jsonl | diff want - # marks alone tell special tokens
nibble-inspect --show=2-2 segments.jsonl | grep -v '^──' | diff <(tail -n +6 want) -
nibble-inspect --show=1 talks.jsonl | grep -F '‹assistant: ›⟦b' >/dev/null
# Colour is for terminals, unless asked for.
! nibble-inspect --show rows.jsonl --model="$tiny_model" | grep $'\x1b' >/dev/null || fail "coloured a pipe"
nibble-inspect --show rows.jsonl --model="$tiny_model" --color=always | grep -F $'\x1b[1;38;5;208mb\x1b[0m' >/dev/null
if command -v script >/dev/null; then
  tty() { script -qec "$1" /dev/null; }
  TERM=xterm tty "nibble-inspect --show segments.jsonl" | grep $'\x1b\[1;38;5;208m' >/dev/null
  ! NO_COLOR=1 TERM=xterm tty "nibble-inspect --show segments.jsonl" | grep $'\x1b' >/dev/null || fail "NO_COLOR was coloured"
  ! TERM=dumb tty "nibble-inspect --show segments.jsonl" | grep $'\x1b' >/dev/null || fail "a dumb terminal was coloured"
  ! TERM=xterm tty "nibble-inspect --color=never --show segments.jsonl" | grep $'\x1b' >/dev/null || fail "never was coloured"
fi
nibble-inspect --json --show=1 rows.jsonl --model="$tiny_model" | grep -F '"segments": [{"label": false, "special": true, "text": "<|im_start|>"}' >/dev/null
nibble-inspect --json --show=1 rows.jsonl | grep '"input_ids": \[.*"labels": \[-100, .*"warnings": \[\]' >/dev/null
# A pair shows both sides, a rating its word.
echo '{"prompt":"p ","chosen":"good</s>","rejected":"bad</s>"}' >pair.jsonl
nibble-inspect --show pair.jsonl | grep -F 'pair.jsonl:1, rejected: ' >/dev/null
echo '{"prompt":"p","completion":"c</s>","label":false}' | nibble-inspect --show - | grep -F '(standard input):1, undesirable: ' >/dev/null
# Ids alone are not text.
expect 64 nibble-inspect --show rows.jsonl 2>err
one_line err
grep -q 'rows.jsonl: holds token ids; give --model=DIR' err
expect 65 nibble-inspect --show=9-10 segments.jsonl 2>err
one_line err
grep -q 'holds 2 examples, none of those asked for' err
expect 65 nibble-inspect --show train.nbp --model="$CASES/../../text/golden/gpt2.json" 2>err
one_line err
grep -q 'train.nbp: made with another tokenizer than the model' err
