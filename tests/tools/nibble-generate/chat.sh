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
