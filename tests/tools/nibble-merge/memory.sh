# SPDX-License-Identifier: Apache-2.0
# Importing, quantising and merging take some tensors' memory, not the model's: a model of 90 MB and
# one of 360 take alike, pages of the files they map counted in, and no more than 128 MiB.
make_model() {  # make_model LAYERS DIR
  nibble-init -q --tokenizer="$tiny_model" --layers="$1" --hidden-size=2048 --heads=16 --kv-heads=4 \
    --intermediate-size=5632 --dtype=bf16 -o "$2"
}
make_adapter() {  # make_adapter MODEL DIR
  nibble-train -q --model="$1" --data=train.nbp --steps=1 --rank=8 --threads=1 -o "$2"
}
peak() {  # peak COMMAND...: MiB, from the line that a tool ends with
  local line
  "$@" --progress=always 2>err || fail "$*: $(cat err)"
  line=$(tail -1 err)
  [[ $line =~ peak\ memory\ ([0-9]+)[.0-9]*\ MiB ]] || fail "no peak in '$line'"
  echo "${BASH_REMATCH[1]}"
}
# At most so many MiB for the large model, and so many more than for the small one.
bounded() {  # bounded NAME MOST MORE SMALL LARGE
  echo "$1: $4 and $5 MiB"
  [ "$5" -le "$2" ] || fail "$1: $5 MiB, more than $2"
  [ "$5" -le $(($4 + $3)) ] || fail "$1: $5 MiB for the large model, $4 for the small one"
}
peaks() {  # peaks MODEL ADAPTER: of each command, in order
  peak nibble-import "$1" -o made && rm -r made
  peak nibble-quantize "$1" --type=int8 -o made && rm -r made
  peak nibble-merge --model="$1" --adapter="$2" -o made && rm -r made
  peak nibble-merge --model="$1" --adapter="$2" --type=nf4 -o made && rm -r made
  peak nibble-quantize "$1" -o nf4
  peak nibble-merge --model=nf4 --adapter="$2" -o made && rm -r made nf4
}
make_model 1 small
nibble-tokenize -q --text --model=small <<<"A line or two to train on." |
  nibble-pack -q --model=small --length=32 -o train.nbp
make_adapter small small-adapter
peaks small small-adapter >small.peaks
rm -r small
make_model 4 large
make_adapter large large-adapter
[ "$(du -sm large | cut -f1)" -ge 320 ] || fail "the large model is none: $(du -sm large)"
peaks large large-adapter >large.peaks
# What quantising makes ahead of what it writes is bounded on its own.
paste -d' ' - small.peaks large.peaks <<'END' | while read -r name more small large; do
import 16
quantize-int8 64
merge 16
merge-to-nf4 32
quantize 64
merge-nf4 32
END
  bounded "$name" 128 "$more" "$small" "$large"
done
