# A signal that comes while a run validates ends it there, not when all is validated. What was not
# validated to its end is no record; --resume does it again, and the run ends as if it had not been
# stopped: the same bits, the same records, the same best step.
tiny_data 60 64
awk 'BEGIN { for (i = 0; i < 8000; ++i) print "thing", i, "costs", i * 5 % 29 }' |
  nibble-tokenize -q --text --model=model | nibble-pack -q --model=model --length=64 -o valid.nbp
options=(-q --threads=1 --model=model --data=train.nbp --validation=valid.nbp --keep-best
  --batch-size=2 --dropout=0.1 --learning-rate=0.01 --steps=4 --eval-every=2)
records() { sed '1d; s/"tokens_per_second.*//' "$1/metrics.jsonl"; }
count() { grep -cs "\"$1\"" out/metrics.jsonl || true; }
nibble-train "${options[@]}" -o whole

# stopped SIGNAL STEP [OPTION...]: a run that is told to stop while it validates after STEP.
stopped() {
  local pid code=0 done=$(($2 / 2 - 1))
  nibble-train "${options[@]}" -o out "${@:3}" 2>err &
  pid=$!
  until grep -qs "process $pid " out/train.lock && [ "$(count loss)" = "$2" ]; do kill -0 $pid; done
  kill -"$1" $pid
  wait $pid || code=$?
  [ "$code" = 75 ] || fail "SIG$1: exit code $code: $(cat err)"
  one_line err
  grep -q "stopped by signal [0-9]* after step $2; go on with --resume" err || fail "$(cat err)"
  [ "$(count validation_loss)" = $done ] || fail "it validated to the end: $(tail -1 out/metrics.jsonl)"
  [ -d "out/checkpoint-00000$2" ] && [ ! -e out/train.lock ]
}
stopped TERM 2
cp -r out first
stopped USR1 2 --resume
stopped TERM 4 --resume
nibble-train "${options[@]}" -o out --resume
same() {
  cmp whole/adapter_model.safetensors out/adapter_model.safetensors
  diff <(records whole) <(records out) >&2
}
same

# From a checkpoint that its own run has gone on from, whose metrics have the validation.
rm -r out/adapter* out/checkpoint-000004
rm -rf out/checkpoint-000002
cp -r first/checkpoint-000002 out
nibble-train "${options[@]}" -o out --resume
same
