# Of a value of thousands of characters a message shows the ends, and all of what is wrong with it.
long=$(printf 'é%.0s' $(seq 4000)) words=$(printf 'é %.0s' $(seq 4000))
for value in "$long" "x$long" "$words" "x$words"; do
  expect 64 "$TOOL" --progress="$value" 2>err
  one_line err
  [ "$(wc -c <err)" -lt 1700 ] || fail "$(wc -c <err) bytes"
  iconv -f utf-8 -t utf-8 err >/dev/null || fail "cut within a character"
  grep -q "^$TOOL: --progress: \"x*é.*\.\.\..*é *\" is not one of auto, always, never; see --help$" err ||
    fail "$(cat err)"
done
for argument in --config="$long" --"no-such-$long"; do
  code=0
  "$TOOL" "$argument" 2>err || code=$?
  [ $code = 64 ] || [ $code = 66 ] || fail "exit code $code"
  one_line err
  [ "$(wc -c <err)" -lt 500 ] || fail "$(wc -c <err) bytes"
  iconv -f utf-8 -t utf-8 err >/dev/null || fail "cut within a character"
done
