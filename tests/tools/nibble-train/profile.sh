# SPDX-License-Identifier: Apache-2.0
# --profile: the ops of a step in a table on standard error, and each by itself in a trace. What is
# trained does not change by it.
tiny_data
train() { nibble-train -q --threads=1 --model=model --data=train.nbp --steps=2 "$@"; }
train -o plain
train --profile=trace.json -o profiled 2>table.txt
cmp plain/adapter_model.safetensors profiled/adapter_model.safetensors
head -1 table.txt | grep -q 'profile of .* s; .* GFLOP/s in f32, .* GB/s'
for op in matmul attention_forward attention_backward rmsnorm_backward cross_entropy adamw; do
  grep -q " $op\$" table.txt || fail "no $op in the table"
  grep -q "\"name\":\"$op\"" trace.json || fail "no $op in the trace"
done
# Shares of the whole add up: no span is counted twice.
awk '/^ .*%/ { sum += $1 } END { if (sum < 99 || sum > 101) { print sum; exit 1 } }' table.txt >&2
python3 -c 'import json; json.load(open("trace.json"))' 2>/dev/null || ! command -v python3 >/dev/null ||
  fail "the trace is no JSON"

expect 73 train --profile=no/such/trace.json -o none 2>fault.txt
one_line fault.txt
[ ! -e none ]
