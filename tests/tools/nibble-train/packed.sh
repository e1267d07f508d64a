# Packed is padded: one row of many examples trains as the same examples one a row do, whether these
# come together or are accumulated. Examples have lengths from 2, and labels only in parts.
tiny_data
awk 'BEGIN { for (i = 0; i < 12; ++i) {
  printf "{\"segments\":[{\"label\":false,\"text\":\"item %d\"},{\"label\":true,\"text\":\" costs %d", i, i * 7 % 13
  for (k = 0; k < i * 5 % 11; ++k) printf " and %d", i * k % 17
  print "\"}]}" } }' |
  nibble-tokenize -q --model=model >rows.jsonl
nibble-pack -q --mode=pack --length=1024 --model=model rows.jsonl -o packed.nbp
nibble-pack -q --mode=pad --length=1024 --model=model rows.jsonl -o padded.nbp
nibble-inspect --json packed.nbp | grep -q '"rows": *1,' || fail "packing made more than a row: $(nibble-inspect packed.nbp)"
nibble-inspect --json padded.nbp | grep -q '"rows": *12,'
train() { # METHOD DATA OUT [OPTION...]
  nibble-train -q --threads=1 --model=model --method="$1" --data="$2" --compute=f32 --epochs=20 --no-shuffle \
    --optimizer=sgd --learning-rate=0.1 --schedule=constant --warmup=0 -o "$3" "${@:4}"
}
numbers() { sed -n 's/.*"step": \([0-9]*\),.*"loss": \([^,]*\),.*"grad_norm": \([^,]*\),.*"trained_tokens": \([0-9]*\),.*/\1 \2 \3 \4/p' "$1/metrics.jsonl"; }
for method in full lora; do
  train $method packed.nbp $method-packed --batch-size=1
  train $method padded.nbp $method-together --batch-size=12
  train $method padded.nbp $method-accumulated --batch-size=1 --accumulate=12
  train $method padded.nbp $method-threes --batch-size=3 --accumulate=4
  for other in together accumulated threes; do
    # Gradients sum up to 512 tokens in another order: 512 * 2^-24 of them, in each of 20 updates.
    paste -d' ' <(numbers $method-packed) <(numbers $method-$other) | awk '
      function far(a, b) { d = a - b; if (d < 0) d = -d; return !(d <= b * 20 * 512 / 2 ^ 24) }
      NF != 8 || $1 != NR || $1 != $5 || $4 != $8 { print "line " NR ": " $0; exit 1 }
      far($2, $6) || far($3, $7) { print "step " $1 ": loss " $2 ", " $6 ", norm " $3 ", " $7; exit 1 }
      NR == 1 { first = $2 } { last = $2 }
      END { if (NR != 20 || last > first - 0.1) { print NR " steps, loss " first " to " last; exit 1 } }' >&2
  done
done
