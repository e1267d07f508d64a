# Statistics of each kind of training data, as a table and as JSON, the same whatever the threads.
{ for i in $(seq 200); do echo "{\"prompt\":\"question $i \",\"completion\":\"$(printf 'ab %.0s' $(seq $((i % 7 + 1))))\"}"; done
  echo '{"prompt":"ваша ","completion":"日本"}'
  echo '{"prompt":"question 1 ","completion":"ab ab "}'; } >prompts.jsonl
nibble-inspect --stats prompts.jsonl
nibble-format -q prompts.jsonl --model="$tiny_model" -o segments.jsonl
nibble-tokenize -q --model="$tiny_model" segments.jsonl -o rows.jsonl
nibble-pack -q --model="$tiny_model" --length=64 rows.jsonl -o train.nbp
field() { grep -o "\"$1\": [^,}]*" json | head -1 | sed 's/.*: //'; }
for file in prompts.jsonl segments.jsonl rows.jsonl train.nbp; do
  nibble-inspect --json --stats $file --model="$tiny_model" >json
  [ "$(field examples)" = 202 ]
  [ "$(field duplicates)" = 1 ]
  [ "$(field duplicates_exact)" = true ]
  grep -q '"scripts": {"Latin": 0.99[0-9]*, "Cyrillic": 0.00[0-9]*, "Han": 0.00[0-9]*}' json
  echo "$(field tokens) $(field trained) $(field min) $(field p50) $(field max)"
done | sort -u >counts
[ "$(wc -l <counts)" = 1 ] || fail "stages differ: $(cat counts)"
[ "$(cut -d' ' -f1 counts)" = "$(tr -cd , <rows.jsonl | wc -c | awk '{ print $1 / 2 + 202 - 202 / 2 }')" ]
nibble-inspect --json --stats train.nbp >json # ids need no tokenizer to be counted
[ "$(field tokens)" = "$(cut -d' ' -f1 counts)" ]
! grep -q '"scripts"' json
rows=$(field rows)
awk -v tokens="$(field tokens)" -v rows="$rows" -v fill="$(field fill)" 'BEGIN { d = tokens / (64 * rows) - fill; exit d * d > 1e-12 }'
# Forms, pairs, ratings and tables are counted as what they are.
echo '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"label":true}' >rated.jsonl
nibble-inspect --json --stats rated.jsonl >json
[ "$(field form)" = '"kto"' ] && [ "$(field desirable)" = 1 ] && [ "$(field turns)" = 2 ]
echo '{"question":"q","chosen":"a","rejected":"b"}' | nibble-inspect --json --stats - >json
[ "$(field pairs)" = 1 ] && [ "$(field examples)" = 1 ]
printf 'question,answer\nq,a\n' >faq.csv
nibble-inspect --stats faq.csv | grep 'conversations of the form question' >/dev/null
# Bad records end it, or are counted.
{ echo '{"text":"a"}'; echo '{'; echo '{"text":7}'; } >bad.jsonl
expect 65 nibble-inspect --stats bad.jsonl 2>err
one_line err
grep -q 'bad.jsonl:2: malformed JSON' err
nibble-inspect --stats bad.jsonl --skip-bad 2>err | grep '^  bad_records *2$' >/dev/null
grep -q ': 2 bad records were skipped$' err
expect 65 nibble-inspect --stats bad.jsonl --skip-bad=1 2>err
head -c 100 train.nbp >cut.nbp
expect 65 nibble-inspect --stats cut.nbp 2>err
one_line err
: >empty.jsonl
nibble-inspect --stats empty.jsonl | grep '^  examples *0$' >/dev/null
