# A file that grows: drawn again by whole lines, read anew when it is cut or replaced, and done when
# the run's last step is there.
waits() { # waits COMMAND...: until it is true
  local i
  for ((i = 0; i < 200; ++i)); do
    if "$@"; then return; fi
    kill -0 $pid 2>/dev/null || fail "it ended: $(cat err)"
    sleep 0.1
  done
  fail "never: $*"
}
step() { echo "{\"step\": $1, \"loss\": $2}"; }
row() { [ -e out.txt ] && [ "$(awk 'NR == 2 { print $2 }' out.txt)" = "$1" ]; }
nibble-plot run/ --follow --to=table -o out.txt 2>err &
pid=$!
sleep 0.3
mkdir run
{ echo '{"step": 0, "run": {"steps": 9}}'; step 1 3; } >run/metrics.jsonl
waits row 1/9
{ step 2 2.5; printf '{"step": 3, "lo'; } >>run/metrics.jsonl
waits row 2/9
printf 'ss": 2}\n' >>run/metrics.jsonl
waits row 3/9
# Replaced, as --resume does.
{ echo '{"step": 0, "run": {"steps": 9}}'; step 1 3; step 2 2.9; } >next
mv next run/metrics.jsonl
waits row 2/9
: >run/metrics.jsonl
{ echo '{"step": 0, "run": {"steps": 9}}'; step 1 5; } >>run/metrics.jsonl
waits row 1/9
step 9 1 >>run/metrics.jsonl
wait $pid
row 9
grep -q "waits for the first step" err

# On a terminal it draws over what it drew.
command -v script >/dev/null || { echo "script is not there to make a terminal" >&2; exit 77; }
echo '{"step": 0, "run": {"steps": 2}}' >grow.jsonl
step 1 3 >>grow.jsonl
(sleep 1.5; step 2 2 >>grow.jsonl) &
TERM=xterm-256color timeout 20 script -qec "stty cols 100 rows 40; nibble-plot grow.jsonl --follow" typescript >seen </dev/null
[ "$(grep -c $'\033\[H' seen)" -ge 2 ] || fail "$(cat -v seen)"
grep -q $'\033\[38;5;' seen
grep -qE '⠉|⠒|⣀|⠤|⡀|⠈' seen
# An end by signal is that signal's.
step 1 3 >endless.jsonl
nibble-plot endless.jsonl --follow -o endless.svg 2>err &
pid=$!
waits test -e endless.svg
kill -TERM $pid
code=0
wait $pid || code=$?
[ $code = 143 ]
! compgen -G 'endless.svg.tmp-*' >/dev/null
