# What is written in which form, by ending or --to; zst, standard input, folders and patterns are read.
for run in a b; do
  mkdir -p runs/$run
  awk -v rank=$([ $run = a ] && echo 4 || echo 16) 'BEGIN {
    print "{\"step\": 0, \"run\": {\"version\": \"1\", \"command\": \"train\", \"steps\": 40, \"options\": {\"rank\": \"" rank "\", \"model\": \"m\"}}}"
    for (i = 1; i <= 40; ++i)
      print "{\"step\": " i ", \"epoch\": " i / 20 ", \"loss\": " (5 - rank / 8) / i ", \"tokens\": 100, \"tokens_per_second\": 50, \"peak_rss\": 1000000, \"planned_rss\": 1200000}"
    print "{\"step\": 40, \"validation_loss\": " 2 - rank / 16 "}" }' >runs/$run/metrics.jsonl
done
one=runs/a/metrics.jsonl
nibble-plot $one -o one.svg
grep -q '<svg' one.svg && grep -q '</svg>' one.svg
nibble-plot $one --to=svg >also.svg
cmp one.svg also.svg
nibble-plot $one -o one.png
[ "$(head -c 4 one.png | od -An -tx1 | tr -d ' ')" = 89504e47 ]
nibble-plot $one -o one.html
grep -q '<!DOCTYPE html>' one.html
nibble-plot runs/a -o folder.svg
cmp one.svg folder.svg
zstd -q $one -o a.jsonl.zst
nibble-plot a.jsonl.zst --title=t -o zst.svg
nibble-plot - --title=t --to=svg <$one >stdin.svg
cmp zst.svg stdin.svg
nibble-plot runs/a runs/b -o both.svg
nibble-plot 'runs/*' -o pattern.svg
cmp both.svg pattern.svg

# Text: as wide as asked, no escapes where nobody sees colours, and some where they are asked for.
nibble-plot 'runs/*' >text
! grep -q $'\033' text || fail "escapes in a pipe"
[ "$(wc -L <text)" -le 80 ]
nibble-plot 'runs/*' --width=132 --color=always >wide
grep -q $'\033\[38;5;' wide
nibble-plot 'runs/*' --width=132 | wc -L >columns
[ "$(cat columns)" -gt 120 ] && [ "$(cat columns)" -le 132 ]
nibble-plot $one --glyphs=ascii >ascii
! LC_ALL=C grep -q '[^ -~]' ascii || fail "$(LC_ALL=C grep '[^ -~]' ascii)"
LC_ALL=C nibble-plot $one >locale
cmp ascii locale
nibble-plot $one --glyphs=blocks >blocks
grep -qE '▖|▗|▘|▝|▞|▚|▄|▀' blocks
nibble-plot $one --glyphs=braille >braille
grep -qE '⠉|⠒|⣀|⠤|⡀|⠈' braille
# A drawing in a file has no colours, wherever it was made.
nibble-plot $one -o text.txt
! grep -q $'\033' text.txt

nibble-plot 'runs/*' --to=table >table
[ "$(awk 'NR > 1 { print $1, $2 }' table)" = $'b 16\na 4' ] || fail "$(cat table)"
nibble-plot 'runs/*' --json >json
grep -q '"validation_loss": 1.0' json || fail "$(cat json)"
nibble-plot 'runs/*' --sweep -o sweep.svg
nibble-plot 'runs/*' --sweep=rank >sweep
grep -q 'best 1.000 at rank=16' sweep || fail "$(cat sweep)"
for x in step epoch tokens time; do nibble-plot $one --x=$x >$x; done
grep -q epoch epoch && grep -q tokens tokens && grep -q minutes time
nibble-plot $one --show=epoch,planned_rss >show
grep -q planned_rss show

nibble-plot 'runs/*' --to=tensorboard -o events
[ "$(ls events)" = $'a\nb' ] && ls events/a/events.out.tfevents.* >ls
expect 73 nibble-plot $one --to=tensorboard -o events 2>err
one_line err
nibble-plot $one --to=tensorboard -o single
ls single/events.out.tfevents.* >ls

# A run is called by its folder, from inside it too.
here=$PWD
(cd runs/b && nibble-plot . --json >"$here/inside" && nibble-plot ../a/ --json >"$here/beside")
grep -q '"run": *"b"' inside || fail "$(cat inside)"
grep -q '"run": *"a"' beside || fail "$(cat beside)"
