# Every record goes to one part as it stands, in order; equal records stay together, and each keeps
# its part when the data grows, whatever the number of threads, the packing and the white space.
awk 'BEGIN { for (i = 0; i < 5000; ++i) printf "{\"id\": %d,  \"who\":\"p%d\",\"text\":\"line %d\"}\n", i, i % 50, i }' >data.jsonl
nibble-split data.jsonl --validation=valid.jsonl --test=test.jsonl --test-size=0.2 -o train.jsonl 2>err
grep -q '^nibble-split: 5000 records: [0-9]* to train on (7[0-9.]*%), [0-9]* to validate on ([0-9.]*%), [0-9]* to test on ([0-9.]*%)$' err
sort train.jsonl valid.jsonl test.jsonl | cmp - <(sort data.jsonl)
for part in train valid test; do
  sort -c -t: -k2n $part.jsonl
  [ "$(wc -l <$part.jsonl)" -gt 300 ]
done

nibble-split -q --threads=3 --validation=v.zst --test=t.zst --test-size=0.2 <data.jsonl | cmp - train.jsonl
zstd -dcq v.zst | cmp - valid.jsonl
zstd -dcq t.zst | cmp - test.jsonl

# Growing, in any order.
awk 'BEGIN { for (i = 5000; i < 9000; ++i) printf "{\"id\": %d,  \"who\":\"p%d\",\"text\":\"line %d\"}\n", i, i % 50, i }' >more.jsonl
cat more.jsonl data.jsonl | shuf --random-source=data.jsonl >grown.jsonl
nibble-split -q grown.jsonl --validation=valid2.jsonl --test=test2.jsonl --test-size=0.2 -o train2.jsonl
for part in train valid test; do
  [ -z "$(comm -23 <(sort $part.jsonl) <(sort ${part}2.jsonl))" ] || fail "$part lost records"
done
# Another seed, another split.
nibble-split -q data.jsonl --seed=2 --test=test3.jsonl --test-size=0.2 -o train3.jsonl
! cmp -s test.jsonl test3.jsonl

# A record with other white space, escapes and order of members is the same record; so is one of an
# array, which becomes a line.
awk 'BEGIN { print "["; for (i = 0; i < 5000; ++i) printf "%s{\"text\":\n\"\\u006cine %d\", \"who\":\"p%d\", \"id\":%d.0}\n", i ? "," : "", i, i % 50, i; print "]" }' >array.json
nibble-split -q array.json --validation=v --test=t --test-size=0.2 -o a.jsonl
[ "$(wc -l <t)" = "$(wc -l <test.jsonl)" ]
sed -n 's/.*ine \([0-9]*\)".*/\1/p' t | cmp - <(sed -n 's/.*ine \([0-9]*\)".*/\1/p' test.jsonl)
head -1 a.jsonl | grep -q '^{"text":"\\u006cine [0-9]*","who":"p[0-9]*","id":[0-9]*.0}$'

# A key stays in one part.
nibble-split -q data.jsonl --key=who --test=t --test-size=0.3 -o a.jsonl
who() { sed 's/.*"who":"\([^"]*\)".*/\1/' "$1" | sort -u; }
[ -z "$(comm -12 <(who t) <(who a.jsonl))" ] && [ -n "$(who t)" ] && [ -n "$(who a.jsonl)" ]
