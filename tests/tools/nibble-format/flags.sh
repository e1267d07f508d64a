# A turn's own flag says whether it is trained on: by default and with --train-on=flags; where another
# --train-on overrides it, that is said.
flagged() { # FLAG-OF-FIRST FLAG-OF-SECOND
  echo "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"$1},{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"$2}]}"
}
format() { nibble-format --template=chatml "$@"; }
want='"label":true,"text":"d<|im_end|>"'
for pair in ',"weight":0|,"weight":1' ',"weight":0|' ',"train":false|,"train":true' ',"training":false|' ',"loss_weight":0.0|,"loss_weight":1.0'; do
  flagged "${pair%|*}" "${pair#*|}" >talk.jsonl
  for train_on in '' --train-on=flags; do
    format talk.jsonl $train_on >out 2>err
    [ "$(grep -o '"label":true[^}]*' out)" = "$want" ] || fail "$pair $train_on: $(cat out)"
    grep -q ' turns are trained on or not as their own flags say$' err
  done
  format talk.jsonl --train-on=assistant >out 2>err
  [ "$(grep -o '"label":true' out | wc -l)" = 2 ]
  grep -q ': 1 turns have a flag of their own that --train-on overrides' err
done
flagged ',"weight":0.5' '' >talk.jsonl
expect 65 format -q talk.jsonl 2>err
one_line err
grep -q 'talk.jsonl:1: messages\[1\]: "weight" is 0.5; a turn is trained on (1) or not (0)' err
# ShareGPT's turns have them too.
echo '{"conversations":[{"from":"human","value":"a","weight":1},{"from":"gpt","value":"b","weight":0}]}' |
  format -q | grep -F '{"label":true,"text":"a<|im_end|>"}' >/dev/null
