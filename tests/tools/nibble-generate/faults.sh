# Every fault is one line that names the place, with its exit code, and leaves nothing behind.
tiny_data
mkdir parent
fault() {  # fault CODE TEXT ARGUMENT...
  local want=$1 text=$2 out=(-o parent/out.jsonl)
  shift 2
  case " $* " in *" --prompt="* | *" --chat "*) out=() ;; esac # those take none
  expect "$want" nibble-generate -q --threads=1 "${out[@]}" "$@" >out 2>err
  [ ! -s out ]
  one_line err
  grep -qF -- "$text" err || fail "wanted '$text', got: $(cat err)"
  empty_folder parent
}
echo '{"prompt":"item 1"}' >prompts.jsonl
fault 64 "--model" prompts.jsonl
fault 64 "--max-tokens" --model=model --max-new-tokens=5 prompts.jsonl
fault 64 "--stop" --model=model --stop-strings=x prompts.jsonl
fault 64 "--top-p" --model=model --top-p=2 prompts.jsonl
fault 64 "--repetition-penalty" --model=model --repetition-penalty=0 prompts.jsonl
fault 64 '"none-such" is none of' --model=model --template=none-such prompts.jsonl
fault 64 "--context=2049 is above the model's context, 2048; use that or less" --model=model --context=2049 prompts.jsonl
fault 69 "cuda" --model=model --device=cuda prompts.jsonl
fault 66 "absent" --model=absent prompts.jsonl
fault 66 "absent.jsonl" --model=model absent.jsonl
fault 66 "no adapter_config.json" --model=model --adapter=model prompts.jsonl
cp -r model cut && truncate -s -100 cut/model.safetensors
fault 65 "cut/model.safetensors" --model=cut prompts.jsonl
cp -r model dumb && rm dumb/tokenizer*.json
fault 66 "dumb" --model=dumb prompts.jsonl
nibble-init -q --tokenizer="$tiny_model" --layers=2 --hidden-size=32 --heads=4 --intermediate-size=48 -o narrow
nibble-train -q --threads=1 --model=narrow --data=train.nbp --steps=1 -o adapter
fault 65 "made for another model" --model=model --adapter=adapter prompts.jsonl

# Weights that are no numbers.
cp -r model poisoned
size=$(stat -c %s model/model.safetensors)
printf '\377\377\377\177' | dd of=poisoned/model.safetensors bs=1 seek=$((size - 4)) conv=notrunc status=none
fault 65 "poisoned: the logits are not finite" --model=poisoned prompts.jsonl
fault 65 "poisoned: the logits are not finite" --model=poisoned --temperature=1 --top-k=5 --top-p=0.9 prompts.jsonl

# A tokenizer of another model.
nibble-init -q --vocab-size=60 --layers=1 --hidden-size=32 --heads=4 -o few
cp model/tokenizer* few
fault 65 "few: the tokenizer has 264 tokens, the model's vocabulary 60; is it the tokenizer of this model?" --model=few prompts.jsonl
# What would be left unread or unwritten.
fault 64 "prompts.jsonl: --prompt reads no file" --model=model --prompt=x prompts.jsonl
fault 64 "prompts.jsonl: --chat reads no file" --model=model --chat prompts.jsonl
fault 64 "--out=parent/done: --prompt writes to standard output" --model=model --prompt=x -o parent/done
fault 64 "--prompt: --chat asks for prompts" --model=model --chat --prompt=x

# A prompt of nothing, and options that stand after one.
fault 65 "nibble-generate: --prompt: the prompt has no token; give another" --model=model --raw --prompt= --max-tokens=2
# Records of no form: it has no option to name their fields.
echo '{"q":"a"}' >nothing.jsonl
fault 65 'nothing.jsonl:1: of no known form (it has "q"); mend it or use --skip-bad' --model=model nothing.jsonl
echo '{"prompt":""}' >nothing.jsonl
fault 65 "nothing.jsonl:1: the prompt has no token" --model=model --raw nothing.jsonl

# Records: the line is named, and --skip-bad counts. A prompt without an end is too long.
{
  echo '{"prompt":"item 1"}'
  echo '{"prompt":"item'
  echo '[1]'
  echo '{"prompt":7}'
  echo '{"question":"?"}'
  echo "{\"prompt\":\"$(seq 3000 | tr '\n' ' ')\"}"
  echo '{"messages":[]}'
  echo '{"prompt":"item 2"}'
} >mixed.jsonl
fault 65 "mixed.jsonl:2: " --model=model mixed.jsonl
for line in 3 4 5 7; do
  sed -n ${line}p mixed.jsonl >one.jsonl
  fault 65 "one.jsonl:1" --model=model one.jsonl
done
sed -n 6p mixed.jsonl >long.jsonl
fault 65 "long.jsonl:1: the prompt has " --model=model long.jsonl
fault 65 "the model's context is 2048; mend it or use --skip-bad" --model=model --context=8 long.jsonl
fault 65 "nibble-generate: prompts.jsonl:1: the prompt has 24 tokens, --context=24 has no room for it and one more; mend it or use --skip-bad" \
  --model=model --context=24 prompts.jsonl
fault 65 "nibble-generate: --prompt: the prompt has 22 tokens, --context=2 has no room for it and one more; use --context=23 or more" \
  --model=model --context=2 --prompt=item
nibble-generate -q --threads=1 --model=model --context=23 --prompt=item >out
fault 65 "the model's context is 2048; shorten it" --model=model --prompt="$(seq 3000 | tr '\n' ' ')"
fault 65 "mixed.jsonl:7: " --model=model --max-tokens=2 --skip-bad=5 mixed.jsonl
nibble-generate --threads=1 --model=model --max-tokens=2 --skip-bad --progress=never mixed.jsonl -o some.jsonl 2>err
[ "$(wc -l <some.jsonl)" = 2 ]
[ "$(grep -c "mixed.jsonl:[2-7]: .*; skipped$" err)" = 6 ] || fail "$(cat err)"
grep -q "6 bad records were skipped" err

# Where it writes.
on="--threads=1 -q --model=model --max-tokens=2"
expect 73 nibble-generate $on prompts.jsonl -o absent/out.jsonl 2>err
one_line err
for what in prompts.jsonl --prompt=item; do
  expect 74 nibble-generate $on $what >/dev/full 2>err
  one_line err
done
expect 74 nibble-generate $on prompts.jsonl -o /dev/full 2>err
one_line err
echo hello | expect 74 nibble-generate $on --chat >/dev/full 2>err
one_line err
for _ in $(seq 2000); do cat prompts.jsonl; done >many.jsonl
set +o pipefail
{ nibble-generate $on many.jsonl 2>err || echo $? >code; } | head -1 >first
[ "$(cat code)" = 141 ]
[ ! -s err ] || fail "$(cat err)"
[ "$(wc -l <first)" = 1 ]
