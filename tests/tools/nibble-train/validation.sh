# Validation: the best step is kept and told, patience ends a run, and both go on after a stop as if
# there had been none. What is validated on does not change what is trained.
tiny_data
# Other text than what is trained on: the better the one is known, the worse the other gets.
awk 'BEGIN { for (srand(2); i++ < 20;) { for (k = 0; k < 30; ++k) printf "%c", 33 + int(rand() * 90); print "" } }' |
  nibble-tokenize -q --text --model=model | nibble-pack -q --model=model --length=64 -o valid.nbp
train() {
  nibble-train --progress=never --threads=1 --model=model --data=train.nbp --method=full --compute=f32 --batch-size=2 \
    --learning-rate=0.01 --schedule=constant --warmup=0 --steps=60 "$@"
}
train -o plain 2>/dev/null
train -o watched --validation=valid.nbp --eval-every=5 2>said
cmp plain/model.safetensors watched/model.safetensors
[ "$(grep -c '"validation_loss"' watched/metrics.jsonl)" = 12 ]

train -o best --validation=valid.nbp --eval-every=5 --keep-best --keep=1 2>said
step=$(sed -n 's/.*keeping step \([0-9]*\), validation loss [0-9.]*$/\1/p' said)
[ -n "$step" ] && [ "$step" -lt 60 ] || fail "$(cat said)"
least=$(grep validation_loss best/metrics.jsonl | sed 's/.*"step": \([0-9]*\),.*"validation_loss": \([0-9.]*\).*/\2 \1/' | sort -g | head -1)
[ "${least#* }" = "$step" ] || fail "kept $step, the least is $least"
cmp best/model.safetensors best/checkpoint-"$(printf %06d "$step")"/model.safetensors
loss=$(nibble-eval -q --threads=1 --compute=f32 --model=best --data=valid.nbp | sed -n 's/^loss\t//p')
awk -v a="$loss" -v b="${least% *}" 'BEGIN { d = a - b; exit !(d < 1e-5 && d > -1e-5) }' || fail "$loss, not $least"

patient=(--validation=valid.nbp --eval-every=5 --patience=2 --save-every=5 --keep=99)
train -o patient "${patient[@]}" 2>said
grep -q "no better for 2 evaluations; stopping early" said || fail "$(cat said)"
last=$(tail -1 patient/metrics.jsonl | grep -o '"step": [0-9]*' | grep -o '[0-9]*$')
[ "$last" -lt 60 ]
# From the last checkpoint, patience gone, and from one before.
for from in "$last" $((last - 5)); do
  rm -rf again && cp -r patient again && rm again/model.safetensors
  train -o again "${patient[@]}" --resume="again/checkpoint-$(printf %06d "$from")" 2>said
  cmp patient/model.safetensors again/model.safetensors
  [ "$(wc -l <again/metrics.jsonl)" = "$(wc -l <patient/metrics.jsonl)" ]
done
