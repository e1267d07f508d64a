# Micro-batches make the step of the big batch: the loss is divided once, by all trained tokens of
# the step, though rows differ much in length. So does every way to recompute, to the bit.
tiny_data
awk 'BEGIN { for (i = 0; i < 36; ++i) { for (k = 0; k < 1 + i * 7 % 23; ++k) printf "%d ", i * k % 13; print "end" } }' |
  nibble-tokenize -q --text --model=model | nibble-pack -q --mode=pad --model=model --length=128 -o rows.nbp
train() {
  nibble-train -q --threads=1 --model=model --data=rows.nbp --method=full --compute=f32 --epochs=3 --optimizer=sgd \
    --learning-rate=0.05 --schedule=constant --warmup=0 "$@"
}
numbers() { sed -n 's/.*"step": \([0-9]*\),.*"loss": \([^,]*\),.*"grad_norm": \([^,]*\),.*"trained_tokens": \([0-9]*\),.*/\1 \2 \3 \4/p' "$1/metrics.jsonl"; }
train --batch-size=4 -o big
train --batch-size=2 --accumulate=2 -o halves
train --batch-size=1 --accumulate=4 -o quarters
for other in halves quarters; do
  # At a rate that does not swing, where differences do not grow. Gradients sum up to 512 tokens in
  # another order: 512 * 2^-24 of them, in each of 27 updates.
  paste -d' ' <(numbers big) <(numbers $other) | awk '
    function far(a, b) { d = a - b; if (d < 0) d = -d; return !(d <= b * 27 * 512 / 2 ^ 24) }
    NF != 8 || $1 != NR || $1 != $5 || $4 != $8 { print "line " NR ": " $0; exit 1 }
    far($2, $6) || far($3, $7) { print "step " $1 ": loss " $2 ", " $6 ", norm " $3 ", " $7; exit 1 }
    NR == 1 { first = $2 } { last = $2 }
    END { if (NR != 27 || last > first - 0.5) { print NR " steps, loss " first " to " last; exit 1 } }' >&2
done

for what in norm layer sqrt; do
  train --batch-size=4 --recompute=$what -o $what
  cmp big/model.safetensors $what/model.safetensors
done
