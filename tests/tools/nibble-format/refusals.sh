# What would be trained on wrongly is refused by name.
refused() { # CODE JSON TEXT [OPTION...]
  local code=$1 json=$2 text=$3
  shift 3
  expect "$code" nibble-format -q "$@" <<<"$json" >out 2>err
  one_line err
  grep -qF -- "$text" err || fail "$(cat err): wanted $text"
  [ ! -s out ]
}
refused 65 '{"conversations":[{"from":"critic","value":"a"}]}' '(standard input):1: conversations[0]: from "critic"'
refused 65 '{"messages":[]}' '"messages" is empty' --template=chatml
refused 65 '{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}' 'message 2 (user) follows another of user; --any-order' --template=llama-2
refused 65 '{"a":1}' 'of no known form (it has "a"; --fields says which is which); mend it or use --skip-bad'
refused 69 '{"instruction":"a","output":"b"}' '--template='
refused 64 '{}' '--from' --from=orca
refused 64 '{}' '--train-on=some' --train-on=some
refused 65 '{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}' 'role "user"' --template=llama-2 --any-order
refused 64 '{}' '"prompt"' --fields=prompt
refused 64 '{}' 'no form has a field "question_text"' --fields=question_text:question
refused 64 '{"prompt":"a","chosen":"b","rejected":"c"}' '--train-on=all' --train-on=all
refused 64 '{}' 'chatml, alpaca, vicuna, llama-2, llama-3, mistral, zephyr, phi-3, gemma' --template=no-such-template
echo '{{ messages }}' >own.jinja
refused 69 '{"instruction":"a","output":"b"}' 'own.jinja' --template=own.jinja
