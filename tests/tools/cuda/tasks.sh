# Benchmark tasks on the GPU: every example's log-likelihoods are the CPU's, with shared
# beginnings (choices of a question, shots before many), and completions are the same words.
on_cuda
tiny_data 40 64
fixtures=$CASES/../../eval/tasks
# The log's first line tells settings; numbers are compared one by one, all else as it is.
number='-\?[0-9]\+\.[0-9]\+\(e[-+]\?[0-9]\+\)\?'
examples() { tail -n +2 "$1" | sort; }
alike() {  # alike MOST A B: the same words, and no numbers further apart than MOST of what they are
  cmp <(examples "$2" | sed "s/$number/#/g") <(examples "$3" | sed "s/$number/#/g") &&
    paste <(examples "$2" | grep -o -- "$number") <(examples "$3" | grep -o -- "$number") |
    awk -v most="$1" '{ d = $1 - $2; m = most * (1 + ($1 < 0 ? -$1 : $1)) } d > m || d < -m { print; bad = 1 }
      END { exit bad }'
}
run=0
both() {  # both COMPUTE MOST TASK-ARGUMENT...
  local compute=$1 most=$2
  shift 2
  run=$((run + 1))
  for device in cpu cuda; do
    nibble-eval -q --threads=1 --model=model --compute="$compute" --device=$device --log=$device.$run \
      "$@" >table.$device.$run
  done
  alike "$most" cpu.$run cuda.$run || fail "$* in $compute: other answers"
}
both f32 1e-4 --task=arc_easy --data="$fixtures/arc_easy/hub.jsonl"
examples cpu.1 | grep -q -- "$number" || fail "no likelihoods to compare"
both f32 1e-4 --task=mmlu --data="$fixtures/mmlu" --few-shot=2
both f32 0 --task=squad --data="$fixtures/squad/hub.jsonl"
# In bf16 every activation is rounded to 8 bits, by tiles of another order.
both bf16 0.05 --task=mmlu --data="$fixtures/mmlu" --few-shot=2
