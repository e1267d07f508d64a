# Shuffling is the seed's alone; the same seed makes the same file, whatever the threads.
for i in $(seq 10 200); do echo "{\"input_ids\":[1,$i,2]}"; done >rows.jsonl
pack() { nibble-pack -q --model="$tiny_model" --length=16 rows.jsonl "$@"; }
pack -o plain.nbp
pack -o one.nbp --shuffle --seed=1
pack -o again.nbp --shuffle --seed=1 --threads=1
pack -o two.nbp --shuffle --seed=2
cmp one.nbp again.nbp
! cmp -s one.nbp two.nbp
! cmp -s one.nbp plain.nbp
TMPDIR=/nonexistent expect 73 pack --shuffle -o none.nbp 2>err
one_line err
[ ! -e none.nbp ]
