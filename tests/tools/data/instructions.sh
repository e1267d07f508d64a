# Every file of real instruction data goes from its own form to packed rows without a word of help, and
# back from ids to text as it was; through a model's template that writes tools, and by a plain name.
need_data
model=$NIBBLE_DATA/tokenizers/qwen3
template=$NIBBLE_DATA/chat_templates/Qwen-Qwen2.5-7B-Instruct.jinja
through() { # FILE FORM EXAMPLES [OPTION...]
  local file=$NIBBLE_DATA/instructions/$1
  nibble-format "$file" --model="$model" "${@:4}" -o segments 2>err
  grep -q ": records of the form $2$" err || fail "$1: $(cat err)"
  grep -q ": $3 examples written$" err || fail "$1: $(cat err)"
  ! grep -q 'skipped\|nothing to train' err || fail "$1: $(cat err)"
  nibble-tokenize -q --model="$model" segments -o rows
  nibble-tokenize -q --model="$model" --decode rows | cmp - segments
  nibble-pack --model="$model" --length=16384 rows -o x.nbp 2>err
  sequences=$3
  [ "$2" != preference ] || sequences=$((2 * $3))
  grep -q " from $sequences sequences, " err || fail "$1: $(cat err)"
  nibble-inspect --verify x.nbp >/dev/null
  nibble-inspect --stats x.nbp --model="$model" >stats
  ! grep '!' stats || fail "$1: $(cat stats)"
}
through alpaca_5000.json alpaca 5000 --template=chatml
through dpo_en_demo.json preference 300 --template="$template"
through dummy_conversation.json sharegpt 500 --template="$template"
through glaive_toolcall_en_demo.json sharegpt 300 --template="$template"
through gsm8k_train.jsonl question 7473 --template=chatml
through identity.json alpaca 91 --template="$template"
through kto_en_demo.json kto 300 --template="$template"
through v1_sft_demo.jsonl messages 500 --template="$template"
