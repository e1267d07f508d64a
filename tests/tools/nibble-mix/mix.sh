# Every file's records keep their order; the shares hold all along; a seed always gives the same.
gen() { awk -v n="$2" -v name="$1" 'BEGIN { for (i = 0; i < n; ++i) print "{\"from\":\"" name "\", \"n\":" i "}" }'; }
gen a 6000 >a.jsonl
gen b 2000 >b.jsonl
gen c 40 | zstd -q >c.zst
only() { grep "\"$1\"" "$2"; }

# All, once.
nibble-mix a.jsonl b.jsonl c.zst -o mix.jsonl 2>err
only a mix.jsonl | cmp - a.jsonl
only b mix.jsonl | cmp - b.jsonl
only c mix.jsonl | cmp - <(zstd -dcq c.zst)
grep -q '^nibble-mix: a.jsonl: 6000 records, 74.63%, 1 epochs$' err
grep -q '^nibble-mix: 8040 records written$' err
for at in 500 4000 7000; do
  n=$(sed "${at}q" mix.jsonl | grep -c '"a"')
  [ $((n * 8040 - at * 6000)) -lt $((2 * 8040)) ] && [ $((at * 6000 - n * 8040)) -lt $((2 * 8040)) ] || fail "$n of $at"
done
nibble-mix -q --threads=3 a.jsonl b.jsonl c.zst | cmp - mix.jsonl
nibble-mix -q --seed=5 a.jsonl b.jsonl c.zst -o other.jsonl
! cmp -s other.jsonl mix.jsonl

# Weights: with the first to end; with the last to end, others again or not.
nibble-mix a.jsonl b.jsonl --weights=1,3 -o first.jsonl 2>err
[ "$(only b first.jsonl | wc -l)" = 2000 ]
n=$(only a first.jsonl | wc -l)
[ "$n" -ge 664 ] && [ "$n" -le 669 ]
only a first.jsonl | cmp - <(head "-n$n" a.jsonl)
tail -1 first.jsonl | grep -q '"n":1999'
grep -q 'a.jsonl: .*, not to its end$' err
nibble-mix -q a.jsonl b.jsonl --weights=1,3 --stop=all_exhausted -o all.jsonl
only a all.jsonl | cmp - a.jsonl
[ "$(only b all.jsonl | wc -l)" -gt 17900 ]
only b all.jsonl >b
head -4000 b | cmp - <(cat b.jsonl b.jsonl)
nibble-mix -q a.jsonl b.jsonl --weights=1,3 --stop=all_exhausted_without_replacement -o once.jsonl
only a once.jsonl | cmp - a.jsonl
only b once.jsonl | cmp - b.jsonl
[ "$(head -1000 once.jsonl | grep -c '"b"')" -gt 740 ]
nibble-mix -q - a.jsonl --weights=1,1 <b.jsonl | grep '"b"' | cmp - b.jsonl
nibble-mix -q a.jsonl b.jsonl --weights=0,1 | cmp - b.jsonl

# Epochs: half of one's records, in order, spread over all of it; the other twice and a quarter.
nibble-mix a.jsonl b.jsonl --epochs=0.5,2.25 -o epochs.jsonl 2>err
[ "$(only a epochs.jsonl | wc -l)" = 3000 ] && [ "$(only b epochs.jsonl | wc -l)" = 4500 ]
only a epochs.jsonl | sort -u -t: -k3n | cmp - <(only a epochs.jsonl)
n=$(only a epochs.jsonl | awk -F: '$3 + 0 < 3000' | wc -l)
[ "$n" -gt 1400 ] && [ "$n" -lt 1600 ]
only b epochs.jsonl >b
head -4000 b | cmp - <(cat b.jsonl b.jsonl)
grep -q 'b.jsonl: 4500 records, 60%, 2.25 epochs$' err
nibble-mix -q a.jsonl b.jsonl --epochs=2 -o twice.jsonl
[ "$(wc -l <twice.jsonl)" = 16000 ]

# Temperature 2: 6000 to 2000 is as sqrt(3) to 1.
nibble-mix -q a.jsonl b.jsonl --temperature=2 --limit=1k -o hot.jsonl
[ "$(wc -l <hot.jsonl)" = 1000 ]
n=$(only a hot.jsonl | wc -l)
[ "$n" -ge 632 ] && [ "$n" -le 636 ]
