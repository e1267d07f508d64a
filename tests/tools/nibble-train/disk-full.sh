# No room for a checkpoint or for the result: exit code 74, one line, nothing half-written, and what
# was saved before stays good. A limit on the size of files stands for a full disk.
tiny_data
trap '' XFSZ # the write fails instead of ending the process
options=(-q --threads=1 --model=model --data=train.nbp --rank=32 --steps=4 --save-every=2)
nibble-train "${options[@]}" -o whole
limited() ( # limited KIB COMMAND...
  ulimit -f "$1"
  shift
  "$@"
)
expect 74 limited 16 nibble-train "${options[@]}" -o first 2>err
one_line err
grep -q "first/checkpoint-000002.*: cannot write" err || fail "$(cat err)"
[ "$(ls first)" = metrics.jsonl ] || fail "left: $(ls first)"
[ "$(grep -c '"loss"' first/metrics.jsonl)" = 2 ]

# The adapter fits, the state beside it, three times as large, does not.
size=$(($(stat -c %s whole/adapter_model.safetensors) / 1024 + 2))
expect 74 limited $size nibble-train "${options[@]}" -o second 2>err
one_line err
grep -q "checkpoint-000002" err || fail "$(cat err)"
[ "$(ls second)" = metrics.jsonl ] || fail "left: $(ls second)"
nibble-train "${options[@]}" --resume -o second
cmp whole/adapter_model.safetensors second/adapter_model.safetensors

expect 74 limited 16 nibble-train "${options[@]}" --save-every=0 -o third 2>err
one_line err
[ "$(ls third)" = metrics.jsonl ] || fail "left: $(ls third)"
expect 74 limited 16 nibble-train "${options[@]}" --method=full --save-every=0 -o fourth 2>err
one_line err
[ "$(ls fourth)" = metrics.jsonl ] || fail "left: $(ls fourth)"

# A good checkpoint is there; the room ends later.
nibble-train "${options[@]}" --steps=4 --save-every=2 -o fifth
rm -r fifth/checkpoint-000004 fifth/adapter*
expect 74 limited 16 nibble-train "${options[@]}" --resume -o fifth 2>err
one_line err
nibble-train "${options[@]}" --resume -o fifth
cmp whole/adapter_model.safetensors fifth/adapter_model.safetensors
