# Whatever is given for metrics: one clear line each, the exit code, and nothing written.
good='{"step": 1, "loss": 2.0}'
refused() { # refused CODE TEXT ARGUMENT...
  expect "$1" nibble-plot "${@:3}" -o out.svg >stdout 2>err
  [ ! -s stdout ] && [ ! -e out.svg ]
  one_line err
  grep -qF -- "nibble-plot: $2" err || fail "wanted $2, got: $(cat err)"
}
line() { printf '%s\n' "$good" "$1" "$good" >m.jsonl; }

line '{"step": 2, "lo'
refused 65 "m.jsonl:2: not a JSON object (cut short?); correct the line, or leave it out with --skip-bad" m.jsonl
line '{"step": 2, "loss": "1.9"}'
refused 65 'm.jsonl:2: "loss" is a text, not a number; ' m.jsonl
for word in NaN Infinity -Infinity; do
  line "{\"step\": 2, \"loss\": $word}"
  refused 65 'm.jsonl:2: NaN or Infinity is no number; ' m.jsonl
done
line '{"step": 2, "loss": 1e999}'
refused 65 'm.jsonl:2: ' m.jsonl
line '{"step": 2, "loss": 1e250}'
refused 65 'm.jsonl:2: "loss" is beyond all bounds; ' m.jsonl
line '{"step": "2", "loss": 1}'
refused 65 'm.jsonl:2: "step" is no number of a step; ' m.jsonl
: >m.jsonl
refused 65 "m.jsonl: no step in it; is it what nibble-train writes with --metrics" m.jsonl
echo '{"prompt": "a", "completion": "b"}' >m.jsonl
refused 65 'm.jsonl:1: no "step"; is this what nibble-train writes' m.jsonl
echo 'epoch,loss' >m.jsonl
refused 65 'm.jsonl:1: not a JSON object' m.jsonl
head -c 4000 /dev/urandom >m.jsonl
refused 65 'm.jsonl' m.jsonl
printf '%s\n' "$good" >m.jsonl
refused 64 '--show: "lss" is no metric of the run; it has loss' m.jsonl --show=lss
refused 64 'no METRICS; '
refused 66 '"nothing*": matches no file; ' 'nothing*'
refused 66 'absent.jsonl: ' absent.jsonl
mkdir folder
refused 66 'folder: no metrics.jsonl in this folder; ' folder
refused 65 "--sweep: the metrics do not tell the runs' options; " m.jsonl --sweep
refused 65 'm.jsonl: does not tell epochs; ' m.jsonl --x=epoch
refused 64 '--completions are shown in a report; ' m.jsonl --completions=m.jsonl
refused 64 '--skip-bad' m.jsonl --skip-bad=many
expect 64 nibble-plot m.jsonl -o out.pdf 2>err
one_line err
expect 64 nibble-plot m.jsonl --to=tensorboard 2>err
one_line err
expect 64 nibble-plot m.jsonl --follow 2>err
grep -q "on a terminal, or give -o FILE" err
expect 65 nibble-plot m.jsonl -o out.html --completions=m.jsonl 2>err
grep -q 'm.jsonl:1: no "completion"' err || fail "$(cat err)"
expect 64 nibble-plot m.jsonl -o m.jsonl --to=svg 2>err
[ "$(cat m.jsonl)" = "$good" ]

# The line that a killed run leaves is no fault, but told.
printf '%s\n{"step": 2, "loss": 1.' "$good" >m.jsonl
nibble-plot -q m.jsonl -o out.svg 2>err
one_line err
grep -q "m.jsonl:2: the last line is cut short and left out" err || fail "$(cat err)"
rm out.svg
# Nor are those that are allowed.
printf '%s\nbad\n{"step": 2, "loss": NaN}\n%s\n' "$good" '{"step": 3, "loss": 1}' >m.jsonl
nibble-plot m.jsonl --skip-bad --to=table >stdout 2>err
[ "$(wc -l <err)" = 2 ]
grep -q '^m  *3 ' stdout || fail "$(cat stdout)"
expect 65 nibble-plot m.jsonl --skip-bad=1 2>err
