# Names of files and whatever a record says are text and nothing else: no command is run, no tag or
# script gets into a page, no escape to the terminal.
evil=$'\'; system("touch hacked") #`touch hacked`@x$(touch hacked)</text><script>alert(1)<\033[2J\n\\'
name=${evil//\//_}
mkdir "$name" other
awk 'BEGIN { for (i = 1; i <= 9; ++i) print "{\"step\": " i ", \"loss\": " i ", \"`touch hacked`\": 1}" }' >other/metrics.jsonl
{
  echo '{"step": 0, "run": {"command": "</pre><script>alert(2)</script>`touch hacked`", "version": "<b>", "options": {"rank": "</td><script>", "'"'"'; system(\"touch hacked\")": "4"}, "plan": {"<script>": 5000000}}}'
  cat other/metrics.jsonl
} >"$name/metrics.jsonl"
echo '{"prompt": "<img src=x onerror=alert(3)>", "completion": "</pre><script>alert(4)</script>\u001b[2J"}' >done.jsonl
nibble-plot "$name" other -o drawing.svg
nibble-plot "$name" -o drawing.png
nibble-plot "$name" other -o page.html --completions=done.jsonl
nibble-plot "$name" -o page1.html --title="$evil" --completions=done.jsonl
nibble-plot "$name" other --sweep=rank -o sweep.svg
nibble-plot "$name" other >text
nibble-plot "$name" other --to=table >table
nibble-plot "$name" other --to=tensorboard -o events
[ ! -e hacked ] || fail "a name was run"
for file in drawing.svg page.html page1.html sweep.svg; do
  ! grep -qi '<script\|<img\|<b>' $file || fail "$file: $(grep -i '<script\|<img\|<b>' $file | head -3)"
done
for file in drawing.svg page.html page1.html text table; do
  ! LC_ALL=C grep -q $'[\001-\010\013-\037]' $file || fail "$file: control characters"
done
grep -q '&lt;script' page.html
[ "$(find events -mindepth 1 -maxdepth 1 | wc -l)" = 2 ] || [ "$(ls events | wc -l)" -ge 2 ]
