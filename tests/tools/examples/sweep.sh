# examples/sweep, small: interrupted, it goes on where it was, its runs beside each other, and ends
# with a table and a drawing that hold every run.
here=${BASH_ENV%/tests/tools/lib.sh}/examples/sweep
sweep() {
  make -C "$here" OUT="$PWD/out" NIBBLE_BIN="$(dirname "$(command -v nibble-train)")" \
    RANKS="2 4" TARGETS="q_proj v_proj" RATES=1e-3 STEPS=30 PRETRAIN_STEPS=10 "$@"
}
# A line for each run that has begun and not ended.
under_way() {
  local run
  for run in out/runs/*; do
    [ ! -e "$run/metrics.jsonl" ] || [ -e "$run/adapter_model.safetensors" ] || echo "$run"
  done
}

# One at a time, and interrupted in its second run, in a process group as a terminal makes it.
set -m
sweep JOBS=1 >log 2>&1 &
make=$!
set +m
until [ -e out/runs/q_proj-r2-lr1e-3/adapter_model.safetensors ] &&
  [ -e out/runs/q_proj-r4-lr1e-3/checkpoint-000025 ]; do
  kill -0 $make 2>/dev/null || fail "make ended: $(tail -5 log)"
  sleep 0.05
done
kill -INT -$make
wait $make || true
done=$(stat -c %y out/runs/q_proj-r2-lr1e-3/adapter_model.safetensors out/model-nf4/config.json)
[ ! -e out/runs/v_proj-r4-lr1e-3/adapter_model.safetensors ] || fail "there was nothing to go on with"

# What was done stays, and the others go on, two at a time.
sweep JOBS=2 >log 2>&1 &
make=$! most=0
while kill -0 $make 2>/dev/null; do
  now=$(under_way | wc -l)
  [ "$now" -le "$most" ] || most=$now
  sleep 0.05
done
wait $make || fail "$(tail -20 log)"
grep -q '^4 runs of 30 steps, 2 at a time$' log || fail "$(cat log)"
[ "$most" = 2 ] || fail "$most runs at a time, not 2"
[ "$done" = "$(stat -c %y out/runs/q_proj-r2-lr1e-3/adapter_model.safetensors out/model-nf4/config.json)" ] ||
  fail "what was done was done again"
for run in out/runs/*; do
  [ "$(grep '"grad_norm"' "$run/metrics.jsonl" | grep -o '^{"step": [0-9]*,' | sort -u | wc -l)" = 30 ] ||
    fail "$run has not every step"
done
[ "$(awk 'NR > 1 { print $1, $4 }' out/table.txt | sort)" = "q_proj-r2-lr1e-3 30
q_proj-r4-lr1e-3 30
v_proj-r2-lr1e-3 30
v_proj-r4-lr1e-3 30" ] || fail "$(cat out/table.txt)"
grep -q '</svg>' out/sweep.svg
grep -q 'validation loss by rank and targets' log || fail "$(cat log)"

# Once more: nothing is left to do, and as many would go as nibble-fit says.
sweep >log 2>&1 || fail "$(tail -20 log)"
grep -q '^one run takes [0-9]* MiB of [0-9]* MiB$' log || fail "$(cat log)"
jobs() { sh "$here/jobs.sh" nibble-fit out/model-nf4 "$@" --data=out/train.nbp --rank=4 --compute=f32 2>err; }
[ "$(jobs 100GiB)" = "$(nproc)" ]
need=$(sed -n 's/one run takes \([0-9]*\) MiB.*/\1/p' err)
[ "$(jobs $((need + need / 2))MiB)" = 1 ]
expect 71 jobs $((need / 2))MiB
