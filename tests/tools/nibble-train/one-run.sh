# A folder is one run's: a second one is refused while the first lives, by its process, and not
# longer, however that one ends.
tiny_data 450 128
options=(-q --model=model --data=train.nbp --threads=1 --epochs=50 --save-every=1)
nibble-train "${options[@]}" -o out &
first=$!
until [ -s out/metrics.jsonl ]; do kill -0 $first; done
for resume in "" --resume; do
  expect 73 nibble-train "${options[@]}" -o out $resume 2>err
  one_line err
  grep -q "^nibble-train: out: process $first on .* trains into it; wait for it or choose another --out$" err || fail "$(cat err)"
done
kill -0 $first || fail "the first run is gone"
kill -9 $first
wait $first 2>/dev/null || true
[ -e out/train.lock ]
expect 73 nibble-train "${options[@]}" -o out 2>err
grep -q "holds an earlier run" err || fail "$(cat err)"
nibble-train "${options[@]}" -o out --resume &
second=$!
until grep -qs "process $second" out/train.lock; do kill -0 $second; done
kill -TERM $second
expect 75 wait $second
[ ! -e out/train.lock ] || fail "a run that ended holds its lock"
