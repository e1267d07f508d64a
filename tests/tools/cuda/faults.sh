# Without a device that can be used: one line, the right exit code, and never the CPU in its place.
on_cuda emulated
tiny_data
on="-q --threads=1 --batch-size=1 --device=cuda --model=model --data=train.nbp --steps=2"
fault() {  # fault CODE WORDS ENVIRONMENT...
  local code=$1 words=$2
  shift 2
  expect "$code" env "$@" nibble-train $on -o out 2>err
  one_line err
  grep -q "$words" err || fail "wanted '$words', got: $(cat err)"
  [ ! -e out/adapter_config.json ] || fail "$*: something was trained"
  rm -rf out
}
fault 69 "no CUDA device" NIBBLE_EMULATE_DEVICES=0
fault 69 "there is no CUDA driver" NIBBLE_EMULATE_FAULT=no-driver
fault 69 "the driver is for CUDA 11.0, this build needs 13.0" NIBBLE_EMULATE_FAULT=driver
fault 69 "busy\|unavailable" NIBBLE_EMULATE_FAULT=busy
fault 69 "compute capability" NIBBLE_EMULATE_FAULT=old-device
fault 71 "the plan needs" NIBBLE_EMULATE_MEMORY=40000000
# The fifth launch is the first that tries wgmma.
fault 70 "NIBBLE_WGMMA=0 does without wgmma" NIBBLE_EMULATE_FAULT=launch:5 NIBBLE_WGMMA=1
fault 64 "neither 0 nor 1" NIBBLE_WGMMA=maybe
expect 69 nibble-train $on --device=cuda:3 -o out 2>err
grep -q "cuda:3" err
# So do the other tools that compute.
names="CUDA_LAUNCH_BLOCKING=1 (and --no-graphs, if the tool has it) names it"
nibble-train -q --threads=1 --model=model --data=train.nbp --steps=1 -o adapter
for trouble in DEVICES=0 FAULT=no-driver FAULT=driver FAULT=busy FAULT=old-device; do
  for tool in "nibble-quantize model -o made" "nibble-merge --model=model --adapter=adapter -o made" \
    "nibble-generate --model=model --prompt=it --max-tokens=2" \
    "nibble-eval --model=model --perplexity=text.txt --length=32"; do
    expect 69 env NIBBLE_EMULATE_$trouble $tool -q --device=cuda >out 2>err
    one_line err
    [ ! -s out ] && [ ! -e made ] || fail "$tool, $trouble: said $(cat out)"
  done
done
# What breaks midway leaves nothing that was half written.
for tool in "nibble-quantize model -o made" "nibble-merge --model=model --adapter=adapter -o made"; do
  for fault in launch:2 copy:3; do
    expect 70 env NIBBLE_EMULATE_FAULT=$fault $tool -q --device=cuda 2>err
    one_line err
    grep -F "$names" err | grep -q "^${tool%% *}: [a-z_0-9 ]*: " || fail "$tool, $fault: said $(cat err)"
    [ -z "$(ls -d made* 2>/dev/null)" ] || fail "$tool, $fault: left $(ls -d made*)"
  done
done

# A driver that refuses to record graphs, or has no memory for one: the same bits without, and a line
# that says so.
nibble-train $on -o with
for refusal in capture instantiate; do
  NIBBLE_EMULATE_FAULT=$refusal nibble-train ${on#-q} -o without 2>err
  [ "$(grep -c "without CUDA graphs" err)" = 1 ] || fail "$refusal: said $(cat err)"
  cmp with/adapter_model.safetensors without/adapter_model.safetensors
  rm -r without
  say="nibble-generate --model=model --prompt=it --raw --max-tokens=9 --device=cuda"
  $say -q >said
  NIBBLE_EMULATE_FAULT=$refusal $say >again 2>err
  [ "$(grep -c "without CUDA graphs" err)" = 1 ] || fail "$refusal: said $(cat err)"
  cmp said again
  echo it | NIBBLE_EMULATE_FAULT=$refusal nibble-generate --model=model --chat --max-tokens=9 \
    --device=cuda >again 2>err
  [ "$(grep -c "without CUDA graphs" err)" = 1 ] || fail "$refusal, --chat: said $(cat err)"
  NIBBLE_EMULATE_FAULT=$refusal nibble-eval --model=model --task=squad --limit=2 --device=cuda \
    --data="$CASES/../../eval/tasks/squad/hub.jsonl" >report 2>err
  [ "$(grep -c "without CUDA graphs" err)" = 1 ] || fail "$refusal, nibble-eval: said $(cat err)"
done
rm -r with

# A launch, or a copy beside the work, that fails midway: one line, and the last checkpoint is kept;
# from it the run goes on to the bits of one that was whole.
nibble-init -q --tokenizer="$tiny_model" --layers=5 --hidden-size=64 --heads=4 --kv-heads=2 \
  --intermediate-size=96 -o deep
on="-q --threads=1 --batch-size=1 --device=cuda --model=deep --data=train.nbp --steps=3 --save-every=1 --recompute=none"
on+=" --offload-activations --optimizer=paged-adamw"
nibble-train $on -o whole
kept=
for fault in launch:150 launch:300 copy:100 copy:200; do
  code=0
  NIBBLE_EMULATE_FAULT=$fault nibble-train $on -o broken 2>err || code=$?
  [ $code = 70 ] || fail "$fault: exit code $code: $(cat err)"
  one_line err
  grep -F "$names" err | grep -Eq "^nibble-train: [a-z_0-9 ]*: (unspecified launch failure|cuBLASLt: it, or work) " ||
    fail "$fault: said $(cat err)"
  [ ! -e broken/adapter_config.json ] || fail "$fault: the run ended"
  if [ -e broken/checkpoint-000001 ]; then
    kept+=" $fault"
    nibble-train $on -o broken --resume
    cmp whole/adapter_model.safetensors broken/adapter_model.safetensors
  fi
  rm -r broken
done
[[ $kept == *launch* && $kept == *copy* ]] || fail "checkpoints were there only for:$kept"
