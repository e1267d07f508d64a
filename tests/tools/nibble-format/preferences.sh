# Preference pairs and ratings, from instruction data to packed rows: every way to write them gives
# the same, the prompt is never trained on, and training on next tokens refuses the shards.
cat >pairs.jsonl <<'END'
{"conversations":[{"from":"human","value":"q"}],"chosen":{"from":"gpt","value":"good"},"rejected":{"from":"gpt","value":"bad"}}
END
cat >turns.jsonl <<'END'
{"prompt":[{"role":"user","content":"q"}],"chosen":[{"role":"assistant","content":"good"}],"rejected":[{"role":"assistant","content":"bad"}]}
{"chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"good"}],"rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"bad"}]}
{"prompt":"q","chosen":[{"role":"assistant","content":"good"}],"rejected":[{"role":"assistant","content":"bad"}]}
{"instruction":"q","input":"","chosen":"good","rejected":"bad"}
{"messages":[{"role":"user","content":"q"}],"chosen":"good","rejected":"bad"}
END
nibble-format --template=chatml pairs.jsonl 2>err
grep -q 'pairs.jsonl: records of the form preference$' err
[ "$(nibble-format -q --template=chatml turns.jsonl | sort -u)" = "$(nibble-format -q --template=chatml pairs.jsonl)" ]
echo '{"prompt":"p ","chosen":"good","rejected":"bad"}' >texts.jsonl
nibble-format -q texts.jsonl

for label in '"label":true' '"kto_tag":"desirable"' '"label":"True"'; do
  echo "{\"prompt\":\"p\",\"completion\":\"c\",$label}"
done >rated.jsonl
nibble-format -q rated.jsonl
echo '{"instruction":"p","output":"c","kto_tag":false}' | nibble-format -q --template=alpaca | grep '}\],"label":false}$' >/dev/null

# Through tokenize and back nothing changes; TRL's names stand in the rows.
tokenize() { nibble-tokenize -q --model="$tiny_model" "$@"; }
for file in pairs texts rated; do
  nibble-format -q --template=chatml --model="$tiny_model" $file.jsonl -o $file.segments
  tokenize $file.segments -o $file.rows
  tokenize --decode $file.rows | cmp - $file.segments
done
grep -q '^{"prompt_ids":\[[0-9,]*\],"chosen_ids":\[[0-9,]*\],"chosen_labels":\[[0-9,]*,-100\],"rejected_ids":' pairs.rows
grep -q '^{"prompt_ids":\[[0-9,]*\],"completion_ids":\[[0-9,]*\],"completion_labels":\[[0-9,]*\],"label":true}$' rated.rows

# A shard is of one kind, which it says, and nibble-train and nibble-eval will not have it.
pack() { nibble-pack -q --model="$tiny_model" --length=128 "$@"; }
pack pairs.rows texts.rows -o pairs.nbp
pack rated.rows -o rated.nbp
grep -aq '"kind": *"pairs"' pairs.nbp
grep -aq '"kind": *"rated"' rated.nbp
tail -c 200 pairs.nbp | grep -aq '"sequences": *4,'
expect 65 pack rated.rows pairs.rows -o none.nbp 2>err
one_line err
grep -q 'pairs.rows:1: of preference pairs, where the rows before are rated answers; a shard holds one kind' err
pack rated.rows pairs.rows --skip-bad -o some.nbp 2>err
grep -q '1 bad rows were skipped' err
for kind in pairs rated; do
  pack $kind.rows -o shuffled.nbp --shuffle
  expect 64 pack $kind.rows -o none.nbp --split-long 2>err
  one_line err
  grep -q -- '--split-long: .* are not cut into pieces; use --truncate' err
done
tiny_data 10 64
for kind in pairs rated; do
  for tool in 'nibble-train --steps=1 -o adapter' nibble-eval; do
    expect 69 $tool -q --model=model --data=$kind.nbp 2>err
    one_line err
    grep -q "$kind.nbp: holds .*, which next-token training cannot take" err
  done
done
[ ! -e adapter ]
