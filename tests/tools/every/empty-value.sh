# A value that is nothing is not the word after it; an unset variable is no file and no stream.
expect 64 "$TOOL" --config= --no-such-option 2>err
one_line err
if "$TOOL" --help | grep -q -- --out; then
  for option in --out= -o; do
    if [ $option = -o ]; then set -- -o ''; else set -- $option; fi
    expect 64 "$TOOL" "$@" 2>err
    one_line err
    grep -q -- "--out: its value is empty" err || fail "$(cat err)"
  done
fi
case $TOOL in
  nibble-tokenize | nibble-pack | nibble-train | nibble-merge | nibble-generate | nibble-eval)
    expect 64 "$TOOL" --model= --verbose 2>err
    one_line err
    grep -q -- "--model: its value is empty" err || fail "$(cat err)"
    ;;
esac
# Whatever a name holds, the message is one line.
expect 64 "$TOOL" $'--no\nsuch\033option' 2>err
one_line err
grep -qF '\nsuch\x1boption' err || fail "$(cat err)"
