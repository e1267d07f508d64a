# The data of real life: each fault in one line that names file and line, nothing written; with
# --skip-bad what is sound around it is kept, and what is not is counted.
good='{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}'
format() { nibble-format --template=chatml "$@"; }
bad() { # TEXT RECORD: printf's escapes in the record
  { echo "$good"; printf "$2"; echo; echo "$good"; } >rows.jsonl
  expect 65 format -q rows.jsonl -o out.jsonl 2>err
  one_line err
  grep -q "^nibble-format: rows.jsonl:2: .*; mend it or use --skip-bad$" err || fail "$2: $(head -c 300 err)"
  grep -qF -- "$1" err || fail "$2: wanted $1, got $(head -c 300 err)"
  [ ! -e out.jsonl ]
  format rows.jsonl --skip-bad=1 >out 2>err
  [ "$(wc -l <out)" = 2 ] || fail "$2: $(wc -l <out) lines"
  grep -q ': 1 bad records were skipped$' err
}
turns() { printf '{"messages":[%s]}' "$1"; }
# mixed forms; wrong roles and role orders
bad 'of the form alpaca, where the file is of the form messages (rows.jsonl:1)' '{"instruction":"a","output":"b"}'
bad 'message 1: role "usr" is none of' "$(turns '{"role":"usr","content":"q"}')"
bad 'message 2 (user) follows another of user' "$(turns '{"role":"user","content":"q"},{"role":"user","content":"q"}')"
bad 'message 1 (assistant) comes before any of user' "$(turns '{"role":"assistant","content":"a"}')"
# nulls, numbers for strings, and other kinds
bad 'messages[0]: "content" is null' "$(turns '{"role":"user","content":null}')"
bad 'messages[0]: "role" is null' "$(turns '{"role":null,"content":"q"}')"
bad 'messages[0]: expected an object, found null' "$(turns 'null')"
bad 'of no known form' '{"messages":null}'
bad 'expected an object, found null' 'null'
bad 'messages[0]: "content" is a number, neither text nor a list of parts' "$(turns '{"role":"user","content":7}')"
bad 'messages[0]: "role" is a number, not text' "$(turns '{"role":1,"content":"q"}')"
bad '"messages" is text, not an array' '{"messages":"q"}'
bad '"messages" is empty' '{"messages":[]}'
bad 'expected an object, found a number' '12'
# invalid UTF-8, a lone surrogate, a NUL byte
bad 'malformed JSON' "$(turns '{"role":"user","content":"a\xffb"}')"
bad 'malformed JSON' "$(turns '{"role":"user","content":"\xed\xa0\x80"}')"
bad 'malformed JSON' "$(turns '{"role":"user","content":"\\ud800"}')"
bad 'malformed JSON' "$(turns '{"role":"user","content":"\\\\udc00\\ud800"}')"
bad 'malformed JSON' "$(turns '{"role":"user","content":"a\000b"}')"
bad 'malformed JSON' '\000'
# unbalanced JSON, and JSON with more behind it
bad 'malformed JSON' '{"messages":[{"role":"user","content":"q"}'
bad 'malformed JSON' '{"messages":[{"role":"user","content":"q"}]}}'
bad 'malformed JSON' '{"messages":[{"role":"user","content":"q}]}'
bad 'malformed JSON' '{"messages":[{"role":"user" "content":"q"}]}'
bad 'malformed JSON' "$(printf '[%.0s' $(seq 3000))"
bad 'malformed JSON' "$(turns '{"role":"user","content":"a\001b"}')"
# An escaped NUL is a character, and what looks like a special token is the template's affair.
turns '{"role":"user","content":"\u0000"},{"role":"assistant","content":"\ud83d\ude00"}' | format -q | grep -F '\u0000' >/dev/null

# The limit of --skip-bad: one more ends it, and its line says how many went before.
{ echo "$good"; echo '{'; echo '}'; echo '['; echo "$good"; } >rows.jsonl
expect 65 format -q rows.jsonl --skip-bad=2 -o out.jsonl 2>err
one_line err
grep -q '^nibble-format: rows.jsonl:4: .* (2 bad records were passed over before it)$' err
[ ! -e out.jsonl ]
format rows.jsonl --skip-bad=3 2>err >out
[ "$(wc -l <out)" = 2 ] && [ "$(grep -c '; skipped$' err)" = 3 ]
# Every record that is skipped is told, however many.
{ echo "$good"; awk 'BEGIN { while (n++ < 20000) print "{" }'; } >rows.jsonl
format rows.jsonl --skip-bad 2>err >out
[ "$(grep -c '; skipped$' err)" = 20000 ]
grep -q ': 20000 bad records were skipped$' err
