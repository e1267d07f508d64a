# CSV and TSV, by name, by their first line or as told: the same examples as of JSON lines.
cat >rows.jsonl <<'END'
{"instruction":"Add, please","input":"1\n2","output":"\"3\""}
{"instruction":"Say hé","input":"","output":"hé\tyo"}
END
printf 'id,instruction,input,output\r\n1,"Add, please","1\n2","""3"""\r\n2,Say hé,,hé\tyo\r\n' >rows.csv
printf 'id\tinstruction\tinput\toutput\n1\tAdd, please\t"1\n2"\t"""3"""\n2\tSay hé\t\t"hé\tyo"\n' >rows.tsv
format() { nibble-format -q --template=chatml "$@"; }
format rows.jsonl -o want
format rows.csv | cmp - want
format rows.tsv | cmp - want
zstd -q rows.csv
format rows.csv.zst | cmp - want
format <rows.csv | cmp - want
format <rows.tsv | cmp - want
format --from=csv - <rows.csv | cmp - want
cp rows.tsv rows.data
format --from=tsv rows.data | cmp - want
format --from=alpaca rows.csv | cmp - want
printf 'Question,Reply\nq,a\n' >faq.csv
format faq.csv --fields=question:Question,answer:Reply | grep -F 'user\nq<|im_end|>' >/dev/null
printf 'prompt,completion,label\np,c,False\n' | format | grep '"label":false}$' >/dev/null

# A row that cannot be read is named, and can be skipped; a table that is none is not.
printf 'instruction,output\na,b\nonly one\n"c" d,e\nf,g\n' >bad.csv
expect 65 format bad.csv 2>err
one_line err
grep -q 'bad.csv:3: has 1 cell, where the header has 2; mend it or use --skip-bad$' err
nibble-format --template=chatml bad.csv --skip-bad 2>err >out
[ "$(wc -l <out)" = 2 ]
grep -q 'bad.csv:4: cell 1 goes on after its closing quote; skipped$' err
grep -q '2 bad records were skipped$' err
printf 'a,b\n1,2\n' >none.csv
expect 65 format none.csv 2>err
grep -q 'none.csv:2: of no known form (it has "a", "b"; ' err
