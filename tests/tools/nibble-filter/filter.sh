# Records that meet every condition stay, as they stand and in order; the rest is written with the
# condition that it does not meet, and counted.
cat >data.jsonl <<'END'
{"lang":"en", "instruction":"Say hello.","output":"Hello!"}
{"lang":"de","instruction":"Sag hallo, bitte.","output":"Hallo!"}
{"lang":"en","instruction":"Draw an image of a cat for me.","output":"..."}
{"lang":"en","instruction":"Name a colour and nothing else.","output":"\u4f60\u597d"}
{"instruction":"Name two colours, please, now.","output":null}
END
nibble-filter data.jsonl --where=lang=en --where='instruction!~(?i)\bimages?\b' --max-words=9 \
  --removed=gone.jsonl -o out.jsonl 2>err
sed -n '1p;4p' data.jsonl | cmp - out.jsonl
cat >want <<'END'
{"removed":"filtered","place":"data.jsonl:2","condition":"--where=lang=en","record":{"lang":"de","instruction":"Sag hallo, bitte.","output":"Hallo!"}}
{"removed":"filtered","place":"data.jsonl:3","condition":"--where=instruction!~(?i)\\bimages?\\b","record":{"lang":"en","instruction":"Draw an image of a cat for me.","output":"..."}}
{"removed":"filtered","place":"data.jsonl:5","condition":"--where=lang=en","record":{"instruction":"Name two colours, please, now.","output":null}}
END
cmp want gone.jsonl
cat >want <<'END'
nibble-filter: 1 removed: --where=instruction!~(?i)\bimages?\b
nibble-filter: 2 removed: --where=lang=en
nibble-filter: 5 records read, 2 kept, 3 removed
END
cmp want err
# Lengths: words, characters, tokens (here bytes); of all text or of some.
kept() { nibble-filter -q data.jsonl "$@" | sed 's/.*"instruction":"\([^ ]*\).*/\1/' | tr '\n' ' '; }
[ "$(kept --fields=instruction --min-words=3 --max-words=5)" = 'Sag Name ' ]
[ "$(kept --where=output --fields=output --max-chars=2)" = 'Name ' ]
[ "$(kept --where=output --fields=output --min-chars=3 --max-chars=3)" = 'Draw ' ]
[ "$(kept --where=output --fields=output --model="$tiny_model" --min-tokens=6 --max-tokens=6)" = 'Say Sag Name ' ]
nibble-filter -q data.jsonl --max-words=0 --removed=gone.jsonl | cmp - /dev/null
grep -q '"condition":"--max-words=0","length":4,' gone.jsonl

awk 'BEGIN { for (i = 0; i < 20000; ++i) print "{\"n\":" i ",\"text\":\"line " i "\"}" }' >many.jsonl
nibble-filter -q --threads=1 many.jsonl --where='text~7$' --removed=gone1 -o 1.jsonl
[ "$(wc -l <1.jsonl)" = 2000 ] && [ "$(wc -l <gone1)" = 18000 ]
zstd -qc many.jsonl | nibble-filter -q --threads=3 --where='text~7$' -o 3.zst
zstd -dcq 3.zst | cmp - 1.jsonl
