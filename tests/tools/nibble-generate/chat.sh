# A conversation in the terminal, from a pipe: an answer a line, the same on every run; /new forgets.
tiny_data
generate() { nibble-generate -q --threads=1 --model=model --compute=f32 --max-tokens=4 --chat "$@"; }
printf 'item 1\n\nitem 2\n/new\nitem 1\n/quit\nitem 3\n' >talk
generate <talk >one 2>err
[ ! -s err ] || fail "$(cat err)"
generate <talk | cmp - one
[ "$(grep -ao '> ' one | wc -l)" -ge 5 ] || fail "prompts: $(cat one)"
printf 'item 1\n' | generate >alone
cmp -n "$(($(stat -c %s alone) - 2))" alone one
# Too long a turn is said so, and the talk goes on.
{ seq 3000 | tr '\n' ' '; echo; echo "item 1"; } | generate >long
grep -qa "(this is longer than the context)" long
tail -n +2 long | cmp - alone
# Turns are written by the model's template, or by the one asked for; one that refuses says its line.
echo '{% for m in messages %}{{ m.content }}{% endfor %}' >own.jinja
printf 'item 1\n' | generate --template=own.jinja >own
! cmp -s own alone || fail "--template=FILE does nothing"
echo '{"messages":[{"role":"user","content":"item 1"}]}' |
  nibble-generate -q --threads=1 --model=model --compute=f32 --max-tokens=4 --template=own.jinja >record
echo '{"prompt":"item 1"}' |
  nibble-generate -q --threads=1 --model=model --compute=f32 --max-tokens=4 --raw |
  grep -o '"completion": *"[^"]*"' | grep -qF "$(grep -o '"completion": *"[^"]*"' record)" || fail "$(cat record)"
printf '\n\n{{ raise_exception("no") }}' >refuses.jinja
printf 'item 1\n' | expect 65 generate --template=refuses.jinja >out 2>err
one_line err
grep -qF 'refuses.jinja:3: no' err || fail "$(cat err)"
