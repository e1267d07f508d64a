# A reader that has had enough ends the tool without a word.
model=$CASES/../../text/golden/gpt2.json
awk 'BEGIN { while (n++ < 200000) print "a" }' >text
set +o pipefail
{ nibble-tokenize --model=$model --text -q text 2>err || echo $? >code; } | head -1 >first
[ "$(cat code)" = 141 ]
[ ! -s err ]
[ "$(wc -l <first)" = 1 ]
