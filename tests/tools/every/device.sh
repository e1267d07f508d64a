# Who computes on the CPU alone says so where it is asked for a GPU, before it reads or writes. The
# others are all built alike: where one finds no CUDA, or no device, so does each.
if "$TOOL" --help | grep -q "computes: cpu or cuda"; then
  why() { # why TOOL ARGUMENT...: what stands against the GPU that no machine has
    expect 69 "$@" --device=cuda:99 2>err </dev/null
    one_line err
    sed "s/^$1: //" err
  }
  case $TOOL in
    nibble-train) set -- --model=model --data=model -o out ;;
    nibble-generate) set -- --model=model ;;
    nibble-eval) set -- --model=model --perplexity=model ;;
    nibble-quantize) set -- model -o out ;;
    nibble-merge) set -- --model=model --adapter=model -o out ;;
    *) fail "what does $TOOL compute?" ;;
  esac
  said=$(why "$TOOL" "$@")
  [ "$said" = "$(why nibble-generate --model=model)" ] || fail "$said"
  [ ! -e out ] || fail "something was done"
  grep -q "nvcc was found: .*$TOOL" "$CASES/../../../scripts/quickstart" || fail "quickstart does not tell of $TOOL"
  exit 0
fi
"$TOOL" --help | grep -q "computes: cpu alone" || exit 0
case $TOOL in
  nibble-init) set -- -o out ;;
  nibble-pack) set -- --model=model -o out ;;
  nibble-score) set -- --metric=rouge ;;
  nibble-tokenize) set -- --model=model ;;
  *) set -- ;;
esac
for device in cuda cuda:1; do
  expect 69 "$TOOL" --device=$device "$@" >said 2>err </dev/null
  one_line err
  grep -q "^$TOOL: --device=$device: $TOOL computes on the CPU alone" err || fail "$(cat err)"
  [ ! -s said ] && [ ! -e out ] || fail "something was done"
done
expect 64 "$TOOL" --device=gpu "$@" 2>err </dev/null
grep -q "no such device" err || fail "$(cat err)"
