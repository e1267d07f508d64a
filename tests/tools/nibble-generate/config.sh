# Options may come from what can be read only once, and prompts from the standard input beside it, for
# any number of threads: nothing is read twice, and nothing is lost.
tiny_data
unset GOMP_SPINCOUNT OMP_WAIT_POLICY OMP_PROC_BIND
printf 'max-tokens = 3\nraw = true\n' >options.toml
printf '{"prompt":"item"}\n{"prompt":"costs"}\n' >prompts.jsonl
three() { # three COMMAND...: it completes both prompts, with three tokens each
  "$@" >done.jsonl
  [ "$(grep -c '"tokens": 3' done.jsonl)" = 2 ] || fail "$*: $(cat done.jsonl)"
}
for threads in 1 2; do
  on="nibble-generate -q --model=model --threads=$threads"
  three $on --config=options.toml prompts.jsonl
  three $on --config=<(cat options.toml) prompts.jsonl
  three $on --config=/dev/stdin prompts.jsonl < <(cat options.toml)
  three $on --config=<(cat options.toml) < <(cat prompts.jsonl)
done
