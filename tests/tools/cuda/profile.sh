# --profile on a GPU: ops with the time that the device takes, compared with no rates of this machine.
on_cuda
tiny_data 40 64
echo '{"prompt":"item 1 costs"}' >prompts.jsonl
run() {
  nibble-generate --progress=never --model=model --raw --max-tokens=4 prompts.jsonl -o out.jsonl \
    --profile=trace.json "$@" 2>table.txt
}
run --device=cuda
grep -q '^nibble-generate: profile of .* s; what the device does at best is not measured$' table.txt
for op in attention_decode rmsnorm_forward sample; do
  grep -q " $op\$" table.txt || fail "no $op in the table: $(cat table.txt)"
  grep -q "\"name\":\"$op\"" trace.json || fail "no $op in the trace"
done
# The share of the time is the only one.
! grep -q '%.*%' table.txt || fail "$(cat table.txt)"
! grep -q f32_flops trace.json
run --device=cpu
grep -q 'profile of .*; at best this machine does ' table.txt
grep -q '%.*%.* rmsnorm_forward$' table.txt
