# Packing of real conversations with two tokenizers, at 2048 and 4096: never more rows than best-fit
# decreasing over all examples at once and 1%, no example split or dropped; on alpaca's 5,000 at most one
# row more than the tokens need, and on 20,000 conversations at least 99.5% of the slots filled.
need_data
set=$NIBBLE_DATA/instructions
best_fit() { # LENGTH <LENGTHS: rows of best-fit decreasing
  # Of examples of one length, the next goes where the last one did, or into what that left.
  sort -rn | awk -v length_="$1" '{
    room = $1 != last ? $1 : left >= $1 ? left : room
    for (last = $1; room <= length_ && !open[room]; ++room) {}
    if (room > length_) { ++rows; left = length_ - $1 } else { --open[room]; left = room - $1 }
    ++open[left]
  } END { print rows }'
}
check() { # NAME MODEL LENGTH
  local rows
  nibble-pack --model="$2" --length="$3" $1.rows -o x.nbp --shuffle --seed=5 2>err
  ! grep -q 'dropped\|cut\|skipped' err || fail "$1: $(cat err)"
  rows=$(sed -n 's/^nibble-pack: \([0-9]*\) rows of .*/\1/p' err)
  grep -q " from $(wc -l <$1.rows) sequences, $(awk '{ n += $1 } END { print n }' $1.lengths) tokens: " err || fail "$1: $(cat err)"
  awk -v name="$1 $3" -v rows="$rows" -v length_="$3" -v best="$(best_fit "$3" <$1.lengths)" '
    { n += $1 }
    END {
      need = int((n + length_ - 1) / length_)
      print name ": " rows " rows, " need " needed, " best " by best-fit decreasing, " 100 * n / (rows * length_) "% full" > "/dev/stderr"
      exit rows > 1.01 * best || (name ~ /^alpaca/ && rows > need + 1) || (name ~ /^many/ && n < 0.995 * rows * length_)
    }' $1.lengths || fail "$1 at $3"
}
for name in smollm2 gpt2; do
  model=$NIBBLE_DATA/tokenizers/$name
  format() { nibble-format -q --template=chatml --model="$model" "$@" | nibble-tokenize -q --model="$model"; }
  format "$set/alpaca_5000.json" >alpaca.rows
  { cat alpaca.rows alpaca.rows
    format "$set/gsm8k_train.jsonl" "$set/dummy_conversation.json" "$set/v1_sft_demo.jsonl" "$set/identity.json"
    format "$set/kto_en_demo.json" --from=messages; } | awk 'split(substr($0, 15, index($0, "]") - 15), ids, ",") <= 2048' >many.rows
  tail -2000 alpaca.rows >>many.rows
  [ "$(wc -l <many.rows)" -ge 20000 ] || fail "$(wc -l <many.rows) conversations"
  for data in alpaca many; do
    awk '{ print split(substr($0, 15, index($0, "]") - 15), ids, ",") }' $data.rows >$data.lengths
    for length in 2048 4096; do check $data "$model" $length; done
  done
done
