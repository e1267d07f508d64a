# The classic mistakes, each said under the example, and counted by --stats with the first place.
check() { # TEXT NAME SEGMENTS: as text, and through the tokenizer
  echo '{"segments":[{"label":false,"text":"q<|im_end|>"},{"label":true,"text":"a<|im_end|>"}]}' >good.jsonl
  { cat good.jsonl good.jsonl; echo "{\"segments\":[$3]}"; } >data.jsonl
  for model in '' --model="$tiny_model"; do
    ! nibble-inspect --show=2 data.jsonl $model | grep '^!' || fail "a good example was found fault with"
    nibble-inspect --show=3-3 data.jsonl $model | grep "^! $1: " >/dev/null || fail "$2 $model: $(nibble-inspect --show=3-3 data.jsonl $model)"
    nibble-inspect --stats data.jsonl $model | grep -F "! 1 of the sequences: $1 (first at data.jsonl:3); " >/dev/null
    nibble-inspect --json --stats data.jsonl $model | grep "\"$2\": {\"count\": 1, \"first\": \"data.jsonl:3\"}" >/dev/null
  done
}
check 'nothing is trained on' nothing_trained '{"label":false,"text":"q<|im_end|>"}'
check 'everything is trained on, the prompt too' everything_trained '{"label":true,"text":"q a<|im_end|>"}'
check 'no end of turn is learnt' no_end '{"label":false,"text":"q"},{"label":true,"text":"a"},{"label":false,"text":"<|im_end|>"}'
check 'the last answer is cut off' truncated '{"label":false,"text":"q"},{"label":true,"text":"a<|im_end|>"},{"label":false,"text":"r"},{"label":true,"text":"b"}'
bos=$(grep -o '"bos_token": *"[^"]*"' "$tiny_model/tokenizer_config.json" | sed 's/.*: *"\(.*\)"/\1/')
check 'it begins with bos twice' two_bos "{\"label\":false,\"text\":\"$bos$bos q\"},{\"label\":true,\"text\":\"a<|im_end|>\"}"
# A template that has no place for the system message it is given.
echo '{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}' >talk.jsonl
echo "{% for m in messages if m.role != 'system' %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}" >own.jinja
nibble-inspect --show talk.jsonl --template=own.jinja | grep '^! the template leaves the system message out: ' >/dev/null
nibble-format --template=own.jinja talk.jsonl 2>err >out
grep -q ': 1 system messages are not written by the template, the first at talk.jsonl:1; take another --template$' err
! nibble-inspect --show talk.jsonl --template=chatml | grep '^!' || fail "chatml writes it"
# An answer that fills its row has no end in it.
echo '{"input_ids":[1,2,3,4,5,6,7,8,9],"labels":[-100,-100,-100,4,5,6,7,8,9]}' |
  nibble-pack -q --model="$tiny_model" --length=8 --truncate -o cut.nbp 2>err
nibble-inspect --show cut.nbp --model="$tiny_model" | grep '^! the last answer is cut off: ' >/dev/null
