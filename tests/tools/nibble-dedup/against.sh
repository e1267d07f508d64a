# What has an n-gram of words in common with a benchmark goes.
cat >bench.jsonl <<'END'
{"id":1,"question":{"stem":"Which of these is the best reason why a cat purrs at night when it sits near the fire?","choices":[{"label":"A","text":"it is warm"}]}}
{"question":"A jug holds two litres of cold water."}
END
cat >data.jsonl <<'END'
{"messages":[{"role":"user","content":"Tell me: which of THESE is the best reason why a cat purrs at night?"},{"role":"assistant","content":"It is warm."}]}
{"messages":[{"role":"user","content":"Which of these is the best reason why a cat purrs by day?"},{"role":"assistant","content":"It is warm."}]}
{"prompt":"Say it: a jug holds two litres of cold water, always.","completion":"Yes."}
{"prompt":"A jug holds two","completion":"litres of cold water."}
END
nibble-dedup data.jsonl --against=bench.jsonl --removed=gone.jsonl -o out.jsonl 2>err
sed -n '2p;4p' data.jsonl | cmp - out.jsonl
grep -q '^nibble-dedup: 8 n-grams of 2 benchmark records$' err
grep -q '^nibble-dedup: 2 texts of benchmarks have fewer than 8 words and are not looked for$' err
grep -q ': 2 contaminated$' err
grep -q '^{"removed":"contaminated","place":"data.jsonl:1","of":"bench.jsonl:1","ngram":"which of these is the best reason why a cat purrs at night","record":{"messages":' gone.jsonl
grep -q '"place":"data.jsonl:3","of":"bench.jsonl:2","ngram":"a jug holds two litres of cold water",' gone.jsonl
nibble-dedup -q data.jsonl --against=bench.jsonl --ngram=11 | cmp - <(sed -n 4p data.jsonl)
nibble-dedup -q data.jsonl --against=bench.jsonl --fields=completion,messages[1].content --no-exact --ngram=5 | cmp - data.jsonl
zstd -q bench.jsonl -o b.zst
nibble-dedup -q data.jsonl --against=/dev/null --against=b.zst | cmp - out.jsonl
