# SPDX-License-Identifier: Apache-2.0
# What cases may use.

# expect CODE COMMAND...: runs it and fails unless that is its exit code.
expect() {
  local want=$1 code=0
  shift
  "$@" || code=$?
  [ "$code" = "$want" ] || fail "'$*' exited with $code, wanted $want"
}

# fail TEXT: ends the case.
fail() {
  echo "$*" >&2
  exit 1
}

# one_line FILE...: fails unless each holds exactly one line, as an error message does.
one_line() {
  local file
  for file; do
    [ "$(wc -l <"$file")" = 1 ] || fail "$file: not one line: $(cat "$file")"
  done
}

# empty_folder DIR: fails unless nothing is in it, temporaries included.
empty_folder() {
  [ -z "$(ls -A "$1")" ] || fail "$1 holds $(ls -A "$1")"
}

# need_data: skips the case without the folder of real data.
need_data() {
  [ -n "${NIBBLE_DATA:-}" ] || { echo "NIBBLE_DATA is not set" >&2; exit 77; }
}

# on_cuda [emulated]: what has a CUDA half comes first in PATH, from $CUDA_TOOLS. With $EMULATED set
# their device is the emulated one; else it is this machine's, and the case is skipped where there is
# none, or where it is of the emulated device alone. Emulated, attention is tried on wgmma only where
# a case sets NIBBLE_WGMMA=1: a process takes a second for that.
on_cuda() {
  [ -n "${CUDA_TOOLS:-}" ] || { echo "CUDA_TOOLS is not set" >&2; exit 77; }
  PATH=$CUDA_TOOLS:$PATH
  if [ -n "${EMULATED:-}" ]; then
    export NIBBLE_WGMMA=0
    return
  fi
  [ "${1-}" != emulated ] || { echo "of the emulated device alone" >&2; exit 77; }
  local code=0
  nibble-quantize -q --device=cuda no-such-model -o never 2>no-device || code=$?
  [ $code != 69 ] || { cat no-device >&2; exit 77; }
}

# A model's folder without weights: a tokenizer of 264 tokens (bytes, five merges, three special
# tokens) with chatml's template, and a context of 512.
tiny_model=${BASH_ENV%/tools/lib.sh}/support/tiny-tokenizer

# tiny_data [COUNT] [LENGTH]: model/ (two layers of 64) over that tokenizer, text.txt of COUNT lines
# and train.nbp, that text in rows of LENGTH tokens.
tiny_data() {
  nibble-init -q --tokenizer="$tiny_model" --layers=2 --hidden-size=64 --heads=4 --kv-heads=2 \
    --intermediate-size=96 -o model
  awk -v n="${1:-40}" 'BEGIN {
    for (i = 0; i < n; ++i) print "item", i, "costs", i * 7 % 31, "and weighs", i * 3 % 17 }' >text.txt
  nibble-tokenize -q --text --model=model text.txt |
    nibble-pack -q --model=model --length="${2:-64}" -o train.nbp
}
