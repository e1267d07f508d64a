# Wrong roles and role orders are named by line and message; --any-order takes what the template takes.
format() { nibble-format -q --template=chatml "$@"; }
talk() { # ROLE...: a record of those turns
  local role turns=
  for role; do turns+="${turns:+,}{\"role\":\"$role\",\"content\":\"x\"}"; done
  echo "{\"messages\":[$turns]}"
}
refused() { # TEXT ROLE...
  { talk user assistant; talk "${@:2}"; } >talks.jsonl
  expect 65 format talks.jsonl >out 2>err
  one_line err
  grep -qF "talks.jsonl:2: $1" err || fail "$(cat err): wanted $1"
}
taken() { talk "$@" | format >/dev/null; }
refused 'message 2 (user) follows another of user; --any-order takes turns in any order' user user assistant
refused 'message 3 (assistant) follows another of assistant' user assistant assistant
refused 'message 1 (assistant) comes before any of user' assistant user
refused "message 3 (system) comes after the conversation's begin" user assistant system
refused 'message 2 (tool) answers no call' user tool assistant
refused 'message 2: role "Assistant" is none of system, user, assistant and tool' user Assistant
refused 'message 2: role "" is none of' user ''
taken system user assistant user assistant
taken user assistant tool tool assistant
for order in 'user user assistant' 'assistant user' 'user assistant assistant' 'user system assistant'; do
  talk $order | format --any-order >out
  [ "$(grep -o 'x<|im_end|>' out | wc -l)" = "$(wc -w <<<"$order")" ]
done
# Roles that the template names, or that are to be learnt, are no slip.
talk user critic | format --train-on=roles:critic | grep -F '{"label":true,"text":"x<|im_end|>"}' >/dev/null
echo "{% for m in messages %}{{ '[critic]' if m.role == 'critic' else '[' + m.role + ']' }}{{ m.content }}{% endfor %}" >own.jinja
talk user critic assistant | nibble-format -q --template=own.jinja --any-order | grep -F '[user]x[critic]x' >/dev/null
