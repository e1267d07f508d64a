# Help goes to standard output, names the tool, its exit codes and an example, and exits 0 even
# where the rest of the line is incomplete.
for option in --help -h; do
  "$TOOL" $option >help 2>err
  [ ! -s err ] || fail "$option wrote on standard error: $(cat err)"
  grep -q "^Usage: $TOOL" help
  grep -qi "exit codes" help
  grep -qi "example" help
  ! grep -E "\[[0-9]{7,}\]" help || fail "help shows a size in bytes"
  [ "$(awk 'length > 100' help)" = "" ] || fail "help is wider than 100 columns"
done
"$TOOL" --print-man >man
grep -q '^\.TH' man
expect 74 "$TOOL" --help >/dev/full 2>err
one_line err
