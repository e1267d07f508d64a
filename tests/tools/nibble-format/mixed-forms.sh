# Forms mixed in one file: the line and both forms are named; files may differ from one another.
echo '{"instruction":"a","output":"b"}' >alpaca.jsonl
echo '{"messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}' >messages.jsonl
echo '{"question":"q","answer":"a"}' >question.jsonl
cat alpaca.jsonl alpaca.jsonl messages.jsonl question.jsonl >mixed.jsonl
format() { nibble-format --template=chatml "$@"; }
expect 65 format -q mixed.jsonl -o out.jsonl 2>err
one_line err
grep -qF 'mixed.jsonl:3: of the form messages, where the file is of the form alpaca (mixed.jsonl:1); mend it or use --skip-bad' err
[ ! -e out.jsonl ]
format mixed.jsonl --skip-bad 2>err >out
[ "$(wc -l <out)" = 2 ]
grep -q 'mixed.jsonl:4: of the form question, where' err
grep -q ': 2 bad records were skipped$' err
expect 65 format -q --from=messages mixed.jsonl 2>err
grep -qF 'mixed.jsonl:1: of the form alpaca, not messages, as --from says' err
format -q alpaca.jsonl messages.jsonl question.jsonl >out
[ "$(wc -l <out)" = 3 ]
# A rating or a rejected answer among examples would be learnt as if it were good.
sed 's/}$/,"label":false}/' alpaca.jsonl | cat alpaca.jsonl - >rated.jsonl
expect 65 format -q rated.jsonl 2>err
grep -q 'rated.jsonl:2: of the form kto, where the file is of the form alpaca' err
