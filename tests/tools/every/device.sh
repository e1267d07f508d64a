# Who computes on the CPU alone says so where it is asked for a GPU, before it reads or writes.
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
