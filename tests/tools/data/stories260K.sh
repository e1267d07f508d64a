# A trained model in each of its three forms, as a person would use it: imported, asked to go on from
# nothing, evaluated on what it said; and the first logits, which no tool prints.
need_data
stories=$NIBBLE_DATA/models/stories260K
numbers() { grep -o "\"$1\": *\[[^]]*\]" "$stories/golden.json" | grep -oE -- '-?[0-9.]+(e-?[0-9]+)?' ; }
nibble-import -q "$stories/stories260K.gguf" -o gguf
nibble-import -q "$stories/stories260K.bin" -o bin
nibble-import -q "$stories" -o folder
cp gguf/tokenizer* folder # it comes without

numbers greedy_ids | paste -sd, >ids
echo "{\"input_ids\":[$(cat ids)],\"labels\":[$(cat ids)]}" >rows.jsonl
echo '{"input_ids":[1],"labels":[1]}' >bos.jsonl
grep -o '"text": *"[^"]*\(\\"[^"]*\)*"' "$stories/golden.json" | sed 's/^"text": *"//; s/"$//' >text
[ "$(tr , '\n' <ids | wc -l)" = 200 ]
for form in gguf bin folder; do
  # JSONL, so that the text is escaped as golden.json has it.
  echo '{"prompt":""}' | nibble-generate -q --model=$form --raw --compute=f32 --max-tokens=199 >said
  grep -q '"tokens": *199, *"finish_reason": *"length"' said
  grep -qF "\"completion\": \"$(cat text)\"" said || fail "$form: $(cat said), not $(cat text)"

  nibble-pack -q --model=$form --length=256 rows.jsonl -o $form.nbp
  nibble-eval -q --model=$form --compute=f32 --data=$form.nbp >report
  loss=$(awk '$1 == "loss" { print $2 }' report)
  grep -o '"mean_nll_on_own_greedy": *[0-9.]*' "$stories/golden.json" | awk -v loss="$loss" '
    { d = loss - $2; if (d * d > 1e-8) { print "loss " loss ", not " $2; exit 1 } }' >&2

  # A safetensors file of one tensor ends with its floats: 512 logits.
  "$(dirname "$(command -v nibble-eval)")"/tests/logits_dump $form - bos.jsonl f32 logits-$form
  numbers first_logits_bos >want
  tail -c 2048 logits-$form/model.safetensors | od -An -v -f -w4 | sed -n 1,16p | paste - want | awk -v form=$form '
    { d = $1 - $2; if (d * d > 1e-8) { print form ": logit " NR - 1 ": " $1 ", not " $2; bad = 1 } }
    END { exit bad || NR != 16 }' >&2
done
