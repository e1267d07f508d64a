# A token never holds text of two segments, and the prompt's tokens are those of the prompt alone.
tokenizers=$CASES/../../text/golden
row() { # MODEL PROMPT ANSWER
  printf '{"segments":[{"label":false,"text":"%s"},{"label":true,"text":"%s"}]}\n' "$2" "$3" |
    nibble-tokenize --model="$tokenizers/$1" -q
}
for model in gpt2.json llama3.json pieces-llama.json pieces.model; do
  for pair in 'the ri|ver' 'x: | the river' 'the|re' 'x\n|\nthe river' 'count 12|34'; do
    prompt=${pair%|*} answer=${pair#*|}
    row $model "$prompt" "$answer" >row
    printf '{"segments":[{"label":false,"text":"%s"}]}\n' "$prompt" |
      nibble-tokenize --model=$tokenizers/$model -q >alone
    ids=$(sed 's/.*"input_ids":\[\([^]]*\)\].*/\1/' alone)
    grep -q "\"input_ids\":\[$ids," row || fail "$model: prompt of $pair: $(cat row alone)"
    # Whatever follows is trained on, and nothing before.
    masked=$(tr -cd , <<<"$ids" | wc -c)
    grep -q "\"labels\":\[$(printf -- '-100,%.0s' $(seq 0 "$masked"))[0-9]" row ||
      fail "$model: mask of $pair: $(cat row)"
    nibble-tokenize --model=$tokenizers/$model --decode -q row >back
    [ "$(cat back)" = "$(printf '{"segments":[{"label":false,"text":"%s"},{"label":true,"text":"%s"}]}' "$prompt" "$answer" | sed 's/\\\\/\\/g')" ] ||
      fail "$model: $(cat back)"
  done
done
