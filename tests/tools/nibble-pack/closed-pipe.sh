# A reader that has had enough ends the tool without a word.
awk 'BEGIN { for (srand(1); n++ < 20000;) {
  ids = 1
  for (i = 0; i < 60; i++) ids = ids "," int(rand() * 264)
  print "{\"input_ids\":[" ids "]}" } }' >rows.jsonl
set +o pipefail
{ nibble-pack -q --model="$tiny_model" rows.jsonl -o - 2>err || echo $? >code; } | head -c 4 | od -An -tx1
[ "$(cat code)" = 141 ]
[ ! -s err ]
