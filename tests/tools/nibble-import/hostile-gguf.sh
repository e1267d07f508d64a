# GGUF files that lie about counts, lengths of strings and arrays, types and offsets, or end early:
# import and inspect name the file and the fault in one line, and nothing is written.
tiny_data
nibble-export -q model -o good.gguf --type=q8_0
mkdir parent
le() { # le BYTES NUMBER: little-endian
  local i
  for ((i = 0; i < $1; ++i)); do printf "\\x$(printf %02x $(($2 >> 8 * i & 255)))"; done
}
# patched OFFSET BYTES NUMBER: bad.gguf, the good file but for that number.
patched() {
  cp good.gguf bad.gguf
  le "$2" "$3" | dd of=bad.gguf bs=1 seek="$1" conv=notrunc status=none
}
refused() { # refused TEXT
  for command in "nibble-import -q bad.gguf -o parent/m" "nibble-inspect bad.gguf"; do
    expect 65 $command >out 2>err
    [ ! -s out ]
    one_line err
    grep -q ": bad.gguf: " err && grep -qF -- "$1" err || fail "wanted '$1', got: $(cat err)"
    empty_folder parent
  done
}
place() { # place TEXT: where it stands in the file
  LC_ALL=C grep -abo -m1 -F -- "$1" good.gguf | head -1 | cut -d: -f1
}
size=$(stat -c %s good.gguf)
for version in 1 4 99; do patched 4 4 $version; refused "version"; done
patched 4 4 $((3 << 24))
refused "big-endian"
for count in -1 9223372036854775807 1000000000; do
  patched 8 8 $count
  refused "tensors"
  patched 16 8 $count
  refused "metadata pairs"
done
# The first key's length, then its value's type and length.
for length in -1 9223372036854775807 $size 65536 0; do patched 24 8 $length; refused ""; done
architecture=$(($(place general.architecture) + 20))
for type in 13 255 -1; do patched $architecture 4 $type; refused "value type"; done
for length in -1 $size; do patched $((architecture + 4)) 8 $length; refused "general.architecture"; done
# An array's type and length.
tokens=$(($(place tokenizer.ggml.tokens) + 21))
for type in 9 13 -1; do patched $((tokens + 4)) 4 $type; refused ""; done
for length in -1 4611686018427387904 $size; do patched $((tokens + 8)) 8 $length; refused "tokenizer.ggml.tokens"; done
patched $((tokens + 16)) 8 -1 # its first string's
refused "tokenizer.ggml.tokens"
# A tensor's rank, dimensions, type and offset.
tensor=$(($(place token_embd.weight) + 17))
for rank in 0 5 -1; do patched $tensor 4 $rank; refused "token_embd.weight"; done
for dimension in 0 -1 9223372036854775807 33; do patched $((tensor + 4)) 8 $dimension; refused "token_embd.weight"; done
for type in 4 5 255 -1; do patched $((tensor + 20)) 4 $type; refused "token_embd.weight"; done
for offset in -32 -1 $((size / 32 * 32)) 7; do patched $((tensor + 24)) 8 $offset; refused ""; done
# Cut short anywhere.
for length in 0 3 8 23 40 1000 $((size / 2)) $((size - 1)); do
  head -c "$length" good.gguf >bad.gguf
  if [ "$length" -lt 4 ]; then # nothing says that it is GGUF, but its name
    expect 65 nibble-import -q bad.gguf -o parent/m 2>err
    one_line err
    empty_folder parent
  else
    refused ""
  fi
done
