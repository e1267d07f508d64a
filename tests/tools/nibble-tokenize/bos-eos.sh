# bos and eos: by the model's rule, once, or as asked; never trained on at the start.
tokenizers=$CASES/../../text/golden
segment() { printf '{"segments":[{"label":%s,"text":"%s"}]}\n' "$1" "$2"; }
{ segment true river; segment true '<s>river'; segment false river; segment true 'river</s>'; } >in.jsonl
run() { nibble-tokenize -q --model=$tokenizers/pieces.model in.jsonl "$@"; }
ids=$(run --no-bos | head -1 | sed 's/.*"input_ids":\[\([^]]*\)\].*/\1/')
run >out
[ "$(sed -n 1p out)" = "{\"input_ids\":[1,$ids],\"labels\":[-100,$ids]}" ]
[ "$(sed -n 2p out)" = "{\"input_ids\":[1,$ids],\"labels\":[-100,$ids]}" ]
run --eos >out
[ "$(sed -n 1p out)" = "{\"input_ids\":[1,$ids,2],\"labels\":[-100,$ids,2]}" ]
grep -q ',2\],"labels":\[-100,.*-100\]}$' <(sed -n 3p out)
[ "$(sed -n 4p out)" = "$(sed -n 1p out)" ]
# Text is a document a line: it ends with eos.
printf 'river\n\nriver\n' >text
nibble-tokenize --model=$tokenizers/pieces.model -q --text text >out
[ "$(sed -n 2p out)" = "{\"input_ids\":[1,$ids,2],\"labels\":[-100,$ids,2]}" ]
[ "$(wc -l <out)" = 2 ]
nibble-tokenize --model=$tokenizers/pieces.model -q --text --no-eos --no-bos text >out
[ "$(sed -n 2p out)" = "{\"input_ids\":[$ids],\"labels\":[$ids]}" ]
# A tokenizer without such tokens says so.
expect 64 nibble-tokenize --model=$tokenizers/smollm.json --eos in.jsonl 2>err
one_line err
grep -q 'no eos token' err
