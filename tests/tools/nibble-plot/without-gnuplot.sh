# Where gnuplot is missing, images are refused with the remedy; the rest works.
mkdir tools
cp "$(command -v nibble-plot)" tools/
echo '{"step": 1, "loss": 2}' >m.jsonl
with() { PATH=$PWD/tools "$@"; }
for form in svg png html; do
  code=0
  with nibble-plot m.jsonl -o out.$form 2>err || code=$?
  [ $code = 69 ] || fail "exit code $code: $(cat err)"
  one_line err
  grep -q "gnuplot is not installed, and draws SVG and PNG; install gnuplot-nox" err || fail "$(cat err)"
  [ ! -e out.$form ]
done
with nibble-plot m.jsonl >text
grep -q loss text
with nibble-plot m.jsonl --to=table >table
with nibble-plot m.jsonl --to=tensorboard -o events
# One that fails is told, and leaves what was there.
printf '#!/bin/sh\ncat >/dev/null\necho "line 7: cannot do that" >&2\nexit 1\n' >tools/gnuplot
chmod +x tools/gnuplot
echo old >out.svg
code=0
PATH=$PWD/tools:$PATH nibble-plot m.jsonl -o out.svg 2>err || code=$?
[ $code = 69 ] && one_line err
grep -q 'gnuplot drew nothing: "line 7: cannot do that"' err || fail "$(cat err)"
[ "$(cat out.svg)" = old ]
