# What batch systems send ends a run with a checkpoint and exit code 75, and --resume goes on from
# there as if it had never stopped. The same options make the same bytes again.
tiny_data 450 128
options=(-q --model=model --data=train.nbp --threads=1 --batch-size=2 --accumulate=3 --dropout=0.1
  --warmup=5steps --epochs=8)
train() { nibble-train "${options[@]}" "$@"; }
train -o whole
train -o again
cmp whole/adapter_model.safetensors again/adapter_model.safetensors
pair() { nibble-train -q --model=model --data=train.nbp --threads=2 --dropout=0.1 --steps=12 "$@"; }
pair -o pair
pair -o pair-again
cmp pair/adapter_model.safetensors pair-again/adapter_model.safetensors
train -o other --seed=7
! cmp -s whole/adapter_model.safetensors other/adapter_model.safetensors || fail "seeds do not matter"

for signal in TERM USR1 HUP; do
  nibble-train "${options[@]}" -o $signal >out 2>err &
  pid=$!
  until [ -s $signal/metrics.jsonl ]; do kill -0 $pid; done
  kill -$signal $pid
  code=0
  wait $pid || code=$?
  [ $code = 75 ] || fail "SIG$signal: exit code $code: $(cat err)"
  [ ! -s out ]
  one_line err
  grep -q "stopped by signal $(kill -l $signal) after step [0-9]*; go on with --resume" err || fail "$(cat err)"
  [ ! -e $signal/adapter_model.safetensors ]
  [ "$(find $signal -name 'checkpoint-*' | wc -l)" = 1 ]
  [ "$(wc -l <$signal/metrics.jsonl)" -lt "$(wc -l <whole/metrics.jsonl)" ]
  # Not by accident: the folder is refused without --resume, and so are other options with it.
  expect 73 train -o $signal 2>err
  grep -q "holds an earlier run; --resume it" err
  one_line err
  expect 65 train -o $signal --resume --learning-rate=0.1 2>err
  grep -q -- "--learning-rate was 2e-04 and is 0.1 now" err || fail "$(cat err)"
  one_line err
  train -o $signal --resume
  cmp whole/adapter_model.safetensors $signal/adapter_model.safetensors
done

# Not under nohup.
(trap '' HUP; exec nibble-train "${options[@]}" -o nohup) &
pid=$!
until [ -s nohup/metrics.jsonl ]; do kill -0 $pid; done
kill -HUP $pid
wait $pid
cmp whole/adapter_model.safetensors nohup/adapter_model.safetensors

# A checkpoint is an adapter itself, and can be gone on from by name.
train -o saved --save-every=50 --keep=9
ls -d saved/checkpoint-* >list
[ "$(head -1 list)" = saved/checkpoint-000050 ]
[ -f saved/checkpoint-000050/adapter_config.json ]
train -o from --resume=saved/checkpoint-000050
cmp whole/adapter_model.safetensors from/adapter_model.safetensors
expect 66 train -o from2 --resume=absent 2>err
one_line err
