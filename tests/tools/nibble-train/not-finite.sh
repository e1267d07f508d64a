# A loss that is no number stops the run, names the step and its rows, and leaves the last good
# checkpoint and no adapter.
tiny_data
cp -r model poisoned
size=$(stat -c %s model/model.safetensors)
printf '\377\377\377\177' | dd of=poisoned/model.safetensors bs=1 seek=$((size - 4)) conv=notrunc status=none
train() { nibble-train -q --threads=1 --data=train.nbp --batch-size=2 "$@"; }
expect 65 train --model=poisoned -o out >stdout 2>err
[ ! -s stdout ]
one_line err
grep -q "step 1: the loss or its gradient is not finite (loss [-a-z]*, norm [-a-z]*) on rows [0-9]*, [0-9]* of train.nbp; .*checkpoint-000000 is the last good state" err || fail "$(cat err)"
[ "$(find out -name 'adapter_model.safetensors')" = out/checkpoint-000000/adapter_model.safetensors ]

# The same later on: a decay that makes weights a thousand times larger each step.
expect 65 train --model=model --method=full --schedule=constant --warmup=0 --learning-rate=100 --weight-decay=10 \
  --compute=f32 --steps=200 --save-every=1 --keep=3 -o burst 2>err
one_line err
step=$(sed -n 's/.*: step \([0-9]*\): the loss or its gradient is not finite .* on rows [0-9]*, [0-9]* of train.nbp;.*/\1/p' err)
[ "$step" -gt 1 ] || fail "$(cat err)"
[ ! -e burst/model.safetensors ]
last=$(find burst -name 'checkpoint-*' | sort | tail -1)
[ "$last" = "burst/checkpoint-$(printf %06d $((step - 1)))" ] || fail "$last, but: $(cat err)"
grep -q "$(basename "$last") is the last good state" err

# A jump is no better: a hundred rows alike, then one of another kind.
{ for _ in $(seq 100); do echo "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; done; echo "0123456789#=+[]{}"; } |
  nibble-tokenize -q --text --model=model | nibble-pack -q --mode=pad --model=model --length=64 -o jump.nbp
expect 65 nibble-train -q --threads=1 --model=model --data=jump.nbp --method=full --no-shuffle --batch-size=1 \
  --schedule=constant --learning-rate=0.003 --epochs=2 -o jump 2>err
one_line err
grep -q "step 101: the loss jumped to [0-9.]* on rows 100 of jump.nbp; .*; checkpoint-000100 is the last good state" err || fail "$(cat err)"
[ "$(ls jump)" = $'checkpoint-000100\nmetrics.jsonl' ]
