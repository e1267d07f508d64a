# SPDX-License-Identifier: Apache-2.0
# --profile: the ops of a step in a table on standard error, and each by itself in a trace. What is
# trained does not change by it.
tiny_data
train() { nibble-train -q --threads=1 --model=model --data=train.nbp --steps=2 "$@"; }
train -o plain
nibble-train --progress=never --threads=1 --model=model --data=train.nbp --steps=2 \
  --profile=trace.json -o profiled 2>told.txt
sed -n '/profile of/,$p' told.txt | sed '/outside all of these$/q' >table.txt
cmp plain/adapter_model.safetensors profiled/adapter_model.safetensors
head -1 table.txt | grep -q 'profile of .* s; .* GFLOP/s in f32, .* GB/s'
for op in matmul attention_forward attention_backward rmsnorm_backward cross_entropy adamw; do
  grep -q " $op\$" table.txt || fail "no $op in the table"
  grep -q "\"name\":\"$op\"" trace.json || fail "no $op in the trace"
done
# Only errors.
train --profile=quiet.json -o quiet 2>err
[ ! -s err ] && [ -s quiet.json ] || fail "$(cat err)"

# Shares of the whole add up: no span is counted twice.
awk '/^ .*%/ { sum += $1 } END { if (sum < 99 || sum > 101) { print sum; exit 1 } }' table.txt >&2
python3 -c 'import json; json.load(open("trace.json"))' 2>/dev/null || ! command -v python3 >/dev/null ||
  fail "the trace is no JSON"

# A run that is stopped has a profile as well.
nibble-train --progress=never --threads=1 --model=model --data=train.nbp --steps=100000 -o stopped \
  --profile=stopped.json 2>err &
pid=$!
until [ -s stopped/metrics.jsonl ]; do kill -0 $pid; done
kill -TERM $pid
expect 75 wait $pid
grep -q 'profile of' err || fail "$(cat err)"
grep -q '"name":"matmul"' stopped.json

# A file that is an input, or another output, is left alone.
cp train.nbp before.nbp
for use in --data=./train.nbp --validation=train.nbp; do
  expect 64 train --data=train.nbp $use --profile=train.nbp -o none 2>fault.txt
  one_line fault.txt
  grep -q 'train.nbp: named twice; give --profile a file of its own' fault.txt
  cmp train.nbp before.nbp
done
expect 64 train --metrics=both --profile=both -o none 2>fault.txt
one_line fault.txt
[ ! -e both ] && [ ! -e none ]

expect 73 train --profile=no/such/trace.json -o none 2>fault.txt
one_line fault.txt
[ ! -e none ]
