# All that a tool wants of the device's memory it asks for at once, before it computes: a second
# request would be refused here. What training asks for is what it planned, to the byte; where that
# is not free, one line says what is needed and what there is, and nothing was done.
on_cuda emulated
tiny_data 20 32
nibble-quantize -q model --type=int8 --report --device=cuda -o int8 >/dev/null
nibble-train -q --model=model --data=train.nbp --steps=1 --device=cuda -o adapter
for what in "nibble-quantize model -o out" "nibble-quantize model -o out --report" \
  "nibble-merge --model=model --adapter=adapter -o out --type=nf4" \
  "nibble-generate --model=model --adapter=adapter --raw --prompt=item --max-tokens=5 --head=nf4" \
  "nibble-eval --model=int8 --perplexity=text.txt --length=32" \
  "nibble-eval --model=model --task=arc_easy --data=$CASES/../../eval/tasks/arc_easy/hub.jsonl" \
  "nibble-eval --model=model --task=squad --limit=2 --data=$CASES/../../eval/tasks/squad/hub.jsonl"; do
  rm -rf out
  NIBBLE_EMULATE_FAULT=allocation:2 $what -q --device=cuda >said || fail "$what: asked twice"
  rm -rf out
  expect 71 env NIBBLE_EMULATE_FAULT=allocation:1 $what -q --device=cuda >said 2>err
  one_line err
  grep -Eq "^${what%% *}: cuda:0: [0-9]+ MiB are needed, [0-9]+ of 1024 MiB are free; .*nvidia-smi" err ||
    fail "$what: said $(cat err)"
  [ ! -e out ] || fail "$what: something was done"
done
# Later prompts that are longer have it laid out anew: one allocation at a time.
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do echo '{"prompt":"it"}'; done >prompts.jsonl
echo '{"prompt":"item and item and item and item"}' >>prompts.jsonl
for device in cpu cuda; do
  nibble-generate -q --model=model --raw --batch-size=1 --max-tokens=3 --compute=f32 \
    --device=$device prompts.jsonl >$device.jsonl
done
cmp cpu.jsonl cuda.jsonl

on="-q --threads=1 --batch-size=2 --device=cuda --data=train.nbp --steps=1 --memory-limit=4GiB --validation=train.nbp"
export NIBBLE_WGMMA=1 # of the first
for how in --model=model "--model=int8 --dropout=0.1" "--model=int8 --recompute=layer --keep-weights=1" \
  "--model=int8 --offload-activations --stream-weights=1 --keep-weights=none --optimizer=paged-adamw-8bit" \
  "--model=model --method=full --optimizer=adamw-8bit" "--model=model --compute=f32 --deterministic"; do
  rm -rf out
  NIBBLE_EMULATE_FAULT=allocation:2 nibble-train $on $how -o out || fail "$how: asked twice"
  planned=$(sed -n '1s/.*"plan": {\([^}]*\)}.*/\1/p' out/metrics.jsonl |
    grep -o '"[^"]*": [0-9]*' | grep -v assumed | awk '{ n += $NF } END { print n }')
  rm -rf out
  NIBBLE_EMULATE_MEMORY=$planned nibble-train ${on#-q} $how -o out 2>said || fail "$how: more than $planned"
  # The metrics have what was on the device beside what was planned, the last line the former.
  read -r peak total < <(sed -n '2s/.*"peak_device": *\([0-9]*\), *"planned_device": *\([0-9]*\).*/\1 \2/p' out/metrics.jsonl)
  [ "$peak" -le "$planned" ] && [ "$peak" -gt $((planned - 256)) ] || fail "$how: $peak bytes, $planned planned"
  [ "$total" -ge "$planned" ] && ! grep -q planned_rss out/metrics.jsonl || fail "$how: $(sed -n 2p out/metrics.jsonl)"
  sed -n '$s/.*, peak memory [0-9.]* [MG]iB, \([0-9.]*\) MiB of cuda.s$/\1/p' said |
    awk -v b="$peak" '{ d = $1 - b / 1048576 } END { exit !(NR == 1 && d * d < 0.3) }' || fail "$how: $(tail -1 said)"
  rm -rf out
  expect 71 env NIBBLE_EMULATE_MEMORY=$((planned - 256)) nibble-train $on $how -o out 2>err
  one_line err
  grep -q "MiB are needed, [0-9]* of [0-9]* MiB are free" err || fail "$how: said $(cat err)"
  [ ! -e out/adapter_config.json ] || fail "$how: something was trained"
  export NIBBLE_WGMMA=0
done
