# A record that cannot be read is named by file and line, and nothing is left behind; --skip-bad
# passes over it, counts it, and keeps to its limit.
model=$CASES/../../text/golden/gpt2.json
cat >rows.jsonl <<'END'
{"segments":[{"label":true,"text":"one"}]}
{"segments":[{"label":true,"text":"two"}
{"segments":[{"label":1,"text":"three"}]}
{"segments":[{"label":true}]}
{"segments":["five"]}
{"messages":[]}
[{"label":true,"text":"seven"}]
{"segments":[]}
{"segments":[{"label":true,"text":"nine"}]}
END
expect 65 nibble-tokenize --model=$model rows.jsonl -q -o out.jsonl 2>err
one_line err
grep -q '^nibble-tokenize: rows.jsonl:2: malformed JSON' err
[ ! -e out.jsonl ]
nibble-tokenize --model=$model rows.jsonl --skip-bad -o out.jsonl 2>err
[ "$(wc -l <out.jsonl)" = 2 ]
grep -q 'rows.jsonl:3: segments\[0\] has no "label"' err
grep -q 'rows.jsonl:4: segments\[0\] has no "text"' err
grep -q 'rows.jsonl:5: segments\[0\] is not an object' err
grep -q 'rows.jsonl:6: no "segments"; make them of conversations with nibble-format' err
grep -q 'rows.jsonl:7: expected an object' err
grep -q ': 6 bad records were skipped$' err
grep -q ': 1 records hold no text and were skipped$' err
expect 65 nibble-tokenize --model=$model rows.jsonl --skip-bad=5 -q -o none.jsonl 2>err
one_line err
[ ! -e none.jsonl ]
# Rows to decode: ids must be the model's.
echo '{"input_ids":[5,501],"labels":[5,-100]}' >row.jsonl
expect 65 nibble-tokenize --model=$model --decode row.jsonl 2>err
grep -q 'row.jsonl:1: .*501' err
