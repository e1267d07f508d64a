# Segments to rows and back, from every kind of tokenizer; files, pipes and zstd read alike.
tokenizers=$CASES/../../text/golden
cat >segments.jsonl <<'END'
{"segments":[{"label":false,"text":"The miller: "},{"label":true,"text":"the river<|eot|>"},{"label":false,"text":"\n"}]}
{"segments":[{"label":true,"text":"n\u00e4\ud83d\ude00 \"x\"\n"}]}
{"segments":[{"label":false,"text":"a"},{"label":false,"text":"b"},{"label":true,"text":""}]}
END
nibble-tokenize --model=$tokenizers/gpt2.json -q segments.jsonl
for model in gpt2.json llama3.json qwen.json pieces-llama.json pieces-first.json pieces.model; do
  model=$tokenizers/$model
  nibble-tokenize --model=$model -q segments.jsonl -o rows.jsonl
  nibble-tokenize --model=$model -q <segments.jsonl | cmp rows.jsonl
  nibble-tokenize --model=$model -q - <segments.jsonl -o rows.jsonl.zst
  nibble-tokenize --model=$model --decode rows.jsonl.zst -q -o back.jsonl
  nibble-tokenize --model=$model -q back.jsonl | cmp rows.jsonl
  # Neighbours of one label come back as one.
  sed 's/.label.:false,"text":"a"},{"label":false,"text":"b"},{"label":true,"text":""/"label":false,"text":"ab"/
       s/\\u00e4\\ud83d\\ude00/ä😀/' segments.jsonl >want.jsonl
  diff want.jsonl back.jsonl
done
