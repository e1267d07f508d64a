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
# Exit codes: those of every tool, and of the others those alone that this one can give.
codes=" $(sed -n '/^\.SH EXIT STATUS/,$s/^\.B //p' man | tr '\n' ' ')"
case $TOOL in
  nibble-fit | nibble-inspect) want=" 0 1 64 65 66 69 70 71 73 74 128+n " ;;
  nibble-train) want=" 0 64 65 66 69 70 71 73 74 75 128+n " ;;
  *) want=" 0 64 65 66 69 70 71 73 74 128+n " ;;
esac
[ "$codes" = "$want" ] || fail "exit codes:$codes"
tr -s '\n ' ' ' <help | grep -qF "128+n ended by signal n" || fail "$(cat help)"
