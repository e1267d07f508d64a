# A trace that would grow without end is cut: the table says where, and counts what is not in it; the
# trace itself says how much that is. With -q there is no table, and the trace is the same.
nibble-init -q --tokenizer="$tiny_model" --layers=1 --hidden-size=32 --heads=2 -o model
for i in {1..400}; do echo '{"prompt":"i"}'; done >prompts.jsonl
generate() {
  nibble-generate --threads=1 --batch-size=1 --model=model --raw --max-tokens=30 prompts.jsonl "$@"
}
generate --progress=never --profile=trace.json -o out.jsonl 2>table
kept=262144
[ "$(grep -c '"ph":"X"' trace.json)" = $kept ] || fail "$(grep -c '"ph":"X"' trace.json) spans in the trace"
more=$(sed -n "\$s/^  the trace holds the first $kept spans; \([0-9]*\) more are in this table alone\$/\1/p" table)
[ -n "$more" ] || fail "$(tail -3 table)"
# Calls, but for the row that counts what is outside of all.
awk -v want=$((kept + more)) '/% .* [a-z_ ]+$/ && !/outside all of these$/ { n += $3 }
  END { if (n != want) { print n " calls, not " want; exit 1 } }' table >&2
grep -q "\"spans_not_kept\": *$more[,}]" trace.json || fail "$(head -c 300 trace.json)"

generate -q --profile=quiet.json -o quiet.jsonl 2>said
[ ! -s said ] || fail "with -q: $(cat said)"
[ "$(grep -c '"ph":"X"' quiet.json)" = $kept ] || fail "with -q: another trace"
cmp out.jsonl quiet.jsonl

# What is short is whole, and nothing is said of it.
generate --progress=never --max-tokens=1 --profile=trace.json -o out.jsonl 2>table
! grep -q "the trace holds" table || fail "$(tail -3 table)"
grep -q '"spans_not_kept": *0[,}]' trace.json
