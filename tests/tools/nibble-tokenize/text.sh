# Lines of text: whatever they hold, brackets and bytes that are no UTF-8 too, they come back.
tokenizers=$CASES/../../text/golden
printf '[{"a":1}]\nthe river  \n  <s> and </s>\nna\xc3\xafve \xf0\x9f\x98\x80\r\nlast' >text
for model in gpt2.json smollm.json pieces.model; do
  nibble-tokenize --model=$tokenizers/$model --text --literal --no-eos -q text -o rows.jsonl
  nibble-tokenize --model=$tokenizers/$model --decode --text -q rows.jsonl >back
  diff <(tr -d '\r' <text; echo) back
done
printf 'a\xffb\n' | nibble-tokenize --model=$tokenizers/gpt2.json --text -q |
  nibble-tokenize --model=$tokenizers/gpt2.json --text --decode -q | cmp - <(printf 'a\xef\xbf\xbdb\n')
# Special tokens are such unless told otherwise.
[ "$(printf '<|eot|>' | nibble-tokenize --model=$tokenizers/llama3.json --text --no-bos -q | tr -cd , | wc -c)" = 1 ]
