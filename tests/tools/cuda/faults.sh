# Without a device that can be used: one line, the right exit code, and never the CPU in its place.
PATH=$EMULATED:$PATH
tiny_data
on="-q --threads=1 --device=cuda --model=model --data=train.nbp --steps=2"
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
fault 69 "driver" NIBBLE_EMULATE_FAULT=driver
fault 69 "busy\|unavailable" NIBBLE_EMULATE_FAULT=busy
fault 69 "compute capability" NIBBLE_EMULATE_FAULT=old-device
fault 71 "the plan needs" NIBBLE_EMULATE_MEMORY=40000000
expect 69 nibble-train $on --device=cuda:3 -o out 2>err
grep -q "cuda:3" err
