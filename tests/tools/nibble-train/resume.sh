# A run killed at any moment and gone on with ends with the bytes of a run left alone: dropout,
# embedding noise, 8-bit state, warm-up and accumulation on. Moments are drawn from a seed, some of
# them inside a checkpoint's write; so many kills land in one run that they meet every part of it.
kills_wanted=20
tiny_data 450 128
nibble-quantize -q model -o nf4
options=(-q --model=nf4 --data=train.nbp --threads=1 --rank=64 --modules-to-save=embed_tokens
  --dropout=0.1 --neftune=5 --optimizer=adamw-8bit --learning-rate=0.01 --warmup=5steps
  --batch-size=2 --accumulate=3 --save-every=2 --epochs=6)
same() {  # same OUT: as the run left alone
  local file
  for file in adapter_model.safetensors adapter_config.json; do cmp whole/$file "$1/$file" >&2; done
  # The same records, but for how fast and how big the process was, and when and where it ran.
  [ "$(grep -n '"run"' "$1/metrics.jsonl" | cut -d : -f 1)" = 1 ]
  diff <(sed '1d; s/"tokens_per_second.*//' whole/metrics.jsonl) \
    <(sed '1d; s/"tokens_per_second.*//' "$1/metrics.jsonl") >&2
}

begin=${EPOCHREALTIME/[.,]/}
nibble-train "${options[@]}" -o whole
wall=$((${EPOCHREALTIME/[.,]/} - begin))
cp -r whole done
begin=${EPOCHREALTIME/[.,]/}
nibble-train "${options[@]}" -o done --resume
start=$((${EPOCHREALTIME/[.,]/} - begin))
same done
steps=$(grep -c '"loss"' whole/metrics.jsonl)

kills=0 written=0
mapfile -t draws < <(awk 'BEGIN { for (srand(3); i++ < 200;) print int(rand() * 1000) }')
for ((n = 0; n < ${#draws[@]}; ++n)); do
  done=$(find killed -name 'checkpoint-??????' 2>/dev/null | sort | tail -1 | grep -o '[0-9]*$' || echo 0)
  nibble-train "${options[@]}" -o killed --resume 2>err &
  pid=$!
  if [ "$kills" -lt "$kills_wanted" ]; then
    # On average so far that all the kills find room before the end.
    rest=$((wall * (steps - 10#$done) / steps))
    left=$((rest / (kills_wanted + 1 - kills)))
    micros=$(((start + left) * 2 * draws[n] / 1000))
    # And never so late that the run could be done: a fast machine is no excuse.
    [ "$micros" -le $((start / 2 + rest / 2)) ] || micros=$((start / 2 + rest / 2))
    sleep "$((micros / 1000000)).$(printf %06d $((micros % 1000000)))"
    if [ $((n % 4)) = 0 ]; then # wait on, for a checkpoint half written
      while kill -0 $pid 2>/dev/null && ! compgen -G "killed/checkpoint-*.tmp-$pid" >/dev/null; do :; done
    fi
    kill -9 $pid 2>/dev/null || true
  fi
  code=0
  wait $pid 2>/dev/null || code=$?
  [ "$code" != 0 ] || break
  [ "$code" = 137 ] || fail "exit code $code: $(cat err)"
  kills=$((kills + 1))
  ! compgen -G "killed/checkpoint-*.tmp-$pid" >/dev/null || written=$((written + 1))
done
[ "$code" = 0 ] || fail "not done after $n kills"
[ "$kills" -ge "$kills_wanted" ] || fail "only $kills kills before the end"
[ "$written" -gt 0 ] || fail "no kill fell into a checkpoint's write"
same killed
! compgen -G "killed/*.tmp-*" >/dev/null || fail "something half written is left: $(ls killed)"
echo "$kills kills, $written of them in a checkpoint's write, $steps steps" >&2
