# A reader that has had enough ends the tool without a word.
awk 'BEGIN { while (n++ < 200000) print "{\"text\":\"a\"}" }' >rows.jsonl
set +o pipefail
{ nibble-format -q rows.jsonl 2>err || echo $? >code; } | head -1 >first
[ "$(cat code)" = 141 ]
[ ! -s err ]
[ "$(cat first)" = '{"segments":[{"label":true,"text":"a"}]}' ]
