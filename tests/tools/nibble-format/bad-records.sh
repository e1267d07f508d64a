# A record that cannot be read is named by file and line, and nothing is left behind; --skip-bad
# passes over it, counts it, and keeps to its limit.
cat >rows.jsonl <<'END'
{"text":"one"}
{"text":"two"
{"text":"three"}
{"text":["four"]}
{"text":null}
{"texts":"six"}
END
printf '{"text":"\xff"}\n' >>rows.jsonl
printf '{"text":"\\ud800"}\n' >>rows.jsonl
printf '{"text":"nul \\u0000 is text"}\n' >>rows.jsonl
expect 65 nibble-format rows.jsonl -o out.jsonl 2>err
[ "$(tail -1 err)" = 'nibble-format: rows.jsonl:2: malformed JSON: '"$(tail -1 err | sed 's/.*malformed JSON: //')" ]
grep -q 'mend it or use --skip-bad$' err
[ "$(ls)" = $'err\nrows.jsonl' ]

nibble-format rows.jsonl --skip-bad -o out.jsonl 2>err
[ "$(wc -l <out.jsonl)" = 3 ]
[ "$(grep -c 'rows.jsonl:[245678]: .*; skipped$' err)" = 6 ]
grep -q ': 6 bad records were skipped$' err
nibble-format rows.jsonl --skip-bad=6 -q -o limit.jsonl
cmp out.jsonl limit.jsonl
expect 65 nibble-format rows.jsonl --skip-bad=5 -q -o none.jsonl 2>err
one_line err
grep -q '^nibble-format: rows.jsonl:8: .*(5 bad records were passed over before it)$' err
[ ! -e none.jsonl ]
# The bad record comes first, last, and alone.
sed -n 4p rows.jsonl >alone.jsonl
nibble-format alone.jsonl rows.jsonl --skip-bad -q | cmp - out.jsonl
