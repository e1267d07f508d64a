# Benchmarks: reports, logs that are gone on with, comparisons, tags, few shots, faults.
tiny_data 20
fixtures=$CASES/../../eval/tasks
eval_() { nibble-eval --threads=1 --model=model --compute=f32 "$@"; }
arc="--task=arc_easy --data=$fixtures/arc_easy/hub.jsonl"
eval_ -q $arc --log=log >table
[ "$(cut -f1,2,5 table | tail -n +2 | tr '\t\n' ' ;')" = "arc_easy acc 2;arc_easy acc_norm 2;arc_easy acc_bytes 2;" ]
[ "$(wc -l <log)" = 3 ]
eval_ -q $arc --json >json
grep -q '"arc_easy": {"examples": 2, "metrics": {"acc": {"value": ' json

# A log is gone on with where it ends, a line cut short included; the report is the same.
cp log whole
for bytes in 0 5 $(head -1 log | wc -c) $(($(head -2 log | wc -c) + 40)); do
  head -c "$bytes" whole >log
  eval_ -q $arc --log=log | cmp - table
  cut -d, -f1-3 log | sort | cmp - <(cut -d, -f1-3 whole | sort) || fail "cut at $bytes"
done
eval_ $arc --log=log 2>err >again
grep -q "arc_easy: going on after 2 examples" err
cmp again table

# Another order of the same examples, and other settings, are another log.
fault() {  # fault CODE TEXT ARGUMENT...
  local want=$1 text=$2
  shift 2
  expect "$want" nibble-eval -q --threads=1 --model=model "$@" >out 2>err
  [ ! -s out ] || fail "wrote $(cat out)"
  one_line err
  grep -qF -- "$text" err || fail "wanted '$text', got: $(cat err)"
}
fault 64 "--log=log: holds an evaluation of other settings" $arc --log=log --compute=f32 --few-shot=1
fault 65 "text.txt:1: " $arc --log=text.txt
echo '{"a": 1}' >other.jsonl
fault 65 "other.jsonl:1: no log of nibble-eval begins so" $arc --log=other.jsonl

# Few shots are drawn by the seed, and the log says which.
eval_ -q $arc --few-shot=1 --log=shots >out
grep -q '"example": 0, .*"few_shot": \[1\]' shots
fault 65 "2 examples of arc_easy are to stand before it, but there are 1" $arc --few-shot=2

# Prompts that are too long lose their beginning, are counted and told.
eval_ $arc --length=16 --log=short >out 2>err
grep -q "arc_easy: prompts longer than the context, 16, that lost their beginning: 2" err
grep -q '"truncated": ' short
fault 65 "hub.jsonl:1: choice 0: an answer of 5 tokens is longer than the context, 4; give a longer one by --length" $arc --length=4
fault 65 "(built in): completions of 50 tokens leave no room for a prompt in the context, 40; give a longer one by --length" \
  --task=squad --data=$fixtures/squad/hub.jsonl --length=40
cp -r model narrow
sed 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 40/' model/config.json >narrow/config.json
fault 65 "in the context, 40; take a model that has a longer one" --model=narrow \
  --task=squad --data=$fixtures/squad/hub.jsonl

# Scores by skill; a suite; groups.
sed 's/"answerKey": "B"/"answerKey": "B", "skill": ["Physics", "Naming"]/; s/"answerKey": "1"/"answerKey": "1", "skill": "Biology"/' \
  "$fixtures/arc_easy/hub.jsonl" >tagged.jsonl
eval_ -q --task=arc_easy --data=tagged.jsonl --by=skill >out
[ "$(cut -f1 out | sort -u | grep skill= | tr '\n' ';')" = "arc_easy skill=Biology;arc_easy skill=Naming;arc_easy skill=Physics;" ]
fault 65 'tagged.jsonl: no record has the "skil" that --by names' --task=arc_easy --data=tagged.jsonl --by=skil
mkdir many
cp "$fixtures/arc_easy/hub.jsonl" many/arc_easy_test.jsonl
cp "$fixtures/arc_challenge/publisher.jsonl" many/ARC-Challenge-Test.jsonl
eval_ -q --task=arc --data=many --log=before >out
[ "$(cut -f1 out | sort -u | tr '\n' ' ')" = "arc_challenge arc_easy task " ]
eval_ -q --task=mmlu --data="$fixtures/mmlu" --few-shot=2 >out
grep -q "^mmlu/old_law	acc	.*	1$" out
grep -q "^mmlu (mean of groups)	acc	" out

# A comparison: of a log with itself nothing has changed.
nibble-eval -q --compare before before >out
[ "$(awk -F'\t' 'NR > 1 && ($5 + 0 != 0 || $6 + 0 != 0 || $7 + 0 != 0)' out)" = "" ]
[ "$(wc -l <out)" = 7 ]
nibble-train -q --threads=1 --model=model --data=train.nbp --modules-to-save=lm_head --steps=3 --learning-rate=0.1 -o adapter
eval_ -q --task=arc --data=many --adapter=adapter --log=after >out
nibble-eval -q --compare before after --json >json
grep -q '"arc_easy": {"examples": 2, "metrics": {"acc": {"before": ' json
expect 65 nibble-eval -q --compare before shots 2>err
one_line err
expect 64 nibble-eval -q --compare before 2>err
grep -q "takes two logs" err
expect 66 nibble-eval -q --compare before absent 2>err

# Tasks of the user's.
export NIBBLE_TASKS=$PWD/mine
mkdir mine
cat >mine/count.toml <<'EOF'
name = "count"
about = "what comes next"
metrics = ["acc"]
test = ["count.jsonl"]
[[form]]
fields = ["shown", "next"]
prompt = "{{ shown }}"
choices = ["three", "nine"]
answer = "{{ next }}"
EOF
echo '{"shown": "one two", "next": "three"}' >mine/count.jsonl
nibble-eval --list-tasks | grep -qx "count	what comes next"
nibble-eval --show-task=count | cmp - <(cat mine/count.toml; echo)
eval_ -q --task=count --data=mine >out
eval_ -q --task=mine/count.toml | cmp - out

# A faulty file is in nobody's way but of who asks for it; the list tells of it.
printf 'name = "broken"\nmetrics = [' >mine/broken.toml
eval_ -q --task=count --data=mine | cmp - out
eval_ -q --task=arc --data=many | cut -f1 | sort -u | tr '\n' ' ' | grep -qx "arc_challenge arc_easy task "
nibble-eval --list-tasks >list 2>err
grep -qx "count	what comes next" list
one_line err
grep -q "^nibble-eval: $PWD/mine/broken.toml:2: " err
fault 65 "mine/broken.toml:2: " --task=broken
fault 64 "; and a faulty file, $PWD/mine/broken.toml:2: " --task=nothing
rm mine/broken.toml
unset NIBBLE_TASKS
fault 64 "--task=count: no such task, nor a file NAME.toml; there are arc_challenge, " --task=count
fault 66 "absent.toml" --task=absent.toml
fault 66 "many: no file of piqa; looked for piqa.jsonl" --task=piqa --data=many
fault 64 "--task=arc_easy: given twice" --task=arc_easy,arc --data=many
echo '{"shown": "one two"}' >>mine/count.jsonl
fault 65 'mine/count.jsonl:2: no "next"' --task=mine/count.toml
sed 's/choices = .*/choices = ["three", ""]/; $a delimiter = ""' mine/count.toml >mine/empty.toml
fault 65 'mine/empty.toml:10: no key "delimiter" belongs here' --task=mine/empty.toml
sed 's/choices = .*/choices = ["three", ""]/; 1a delimiter = ""' mine/count.toml >mine/empty.toml
head -1 mine/count.jsonl >one.jsonl
fault 65 "one.jsonl:1: choice 1: no token follows the prompt" --task=mine/empty.toml --data=one.jsonl
size=$(stat -c %s model/model.safetensors)
cp -r model poisoned
printf '\377\377\377\177' | dd of=poisoned/model.safetensors bs=1 seek=$((size - 4)) conv=notrunc status=none
expect 65 nibble-eval -q --model=poisoned $arc >out 2>err
one_line err
grep -q "poisoned: the logits are not finite" err

# Conversations: only what training would learn is scored.
cat >talk.jsonl <<'EOF'
{"messages": [{"role": "user", "content": "item?"}, {"role": "assistant", "content": "item 1 costs 7"}]}
{"messages": [{"role": "user", "content": "and weighs?"}, {"role": "assistant", "content": "3 and 4"}]}
EOF
nibble-format -q talk.jsonl --template=model | nibble-tokenize -q --model=model |
  nibble-pack -q --model=model --length=128 -o talk.nbp
eval_ -q --data=talk.jsonl --json >json
eval_ -q --data=talk.nbp --json >shard
for name in tokens loss; do
  a=$(sed "s/.*\"$name\": \([^,}]*\).*/\1/" json) b=$(sed "s/.*\"$name\": \([^,}]*\).*/\1/" shard)
  awk -v a="$a" -v b="$b" 'BEGIN { d = a - b; exit !(d < 1e-5 && d > -1e-5) }' || fail "$name: $a and $b"
done
grep -q '"conversations": 2' json
