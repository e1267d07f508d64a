# Lines of 100 MB and more: read where that is possible, named where not, and read on after; in memory
# of some times the line.
good='{"prompt":"p","completion":"c"}'
long() { # MEGABYTES: a record of that size
  printf '{"prompt":"p","completion":"'
  head -c "${1}000000" /dev/zero | tr '\0' x
  printf '"}\n'
}
{ echo "$good"; long 100; echo "$good"; } >rows.jsonl
nibble-format -q rows.jsonl >out
[ "$(wc -l <out)" = 3 ]
[ "$(sed -n 2p out | tr -cd x | wc -c)" = 100000002 ] # "text" has one too, twice
# Through a template that is more than its bounds allow: one line, and the rest is kept.
expect 65 nibble-format -q rows.jsonl --from=question --fields=question:prompt,answer:completion --template=llama-2 >out 2>err
[ "$(wc -l <err)" = 1 ]
grep -q '^nibble-format: rows.jsonl:2: ' err
head -c 400 err >/dev/null
nibble-format -q rows.jsonl --from=question --fields=question:prompt,answer:completion --template=llama-2 --skip-bad=1 2>err >out
[ "$(wc -l <out)" = 2 ]
# Longer than any line may be.
{ echo "$good"; long 280; echo "$good"; } >rows.jsonl
expect 65 nibble-format -q rows.jsonl -o none.jsonl 2>err
one_line err
grep -q '^nibble-format: rows.jsonl:2: a line longer than 256 MiB; is this JSONL, one record a line?; mend it or use --skip-bad$' err
nibble-format rows.jsonl --skip-bad=1 >out 2>err
[ "$(wc -l <out)" = 2 ]
grep -q ': 1 bad records were skipped$' err
{ printf '['; echo "$good,"; long 280; echo ",$good]"; } >rows.json
nibble-format rows.json --skip-bad=1 >out 2>err
[ "$(wc -l <out)" = 2 ]
grep -q 'rows.json:2, item 1: an item longer than 256 MiB; skipped$' err
