#!/usr/bin/env bash
# What compare.py and peak.py measure, as the Markdown tables of RESULTS.md: all.sh MODEL/ TEXT >TABLES
# What it needs, $NIBBLE_DATA included, and what variables change, is in compare.py; $PYTHON runs that
# (python3). Takes two hours or so where nothing else runs; TRIAL=1 shows in a quarter of one that all of it works.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 64; }
: "${NIBBLE_DATA:?is not set; preprocess and near-duplicates make their data of what it holds}"
if [ -z "${WORK:-}" ]; then
  WORK=$(mktemp -d)
  trap 'rm -rf "$WORK"' EXIT
fi
export WORK
compare() { "${PYTHON:-python3}" "$here/compare.py" "$@"; }

printf '\n## All cores\n\n'
compare "$@"
printf '\n## Dense LoRA, compiled\n\n'
compare "$@" train-lora
printf '\n## The head in 8 bits\n\n'
compare "$@" decode-int8
printf '\n## One core\n\n'
CORES=1 compare "$@" train train-layer train-long train-f32 prompts decode perplexity quantize tokenize start
printf '\n## Scaling\n\n'
compare "$@" scaling
printf '\n## AVX2\n\n'
NIBBLE_CPU=avx2 ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 \
  compare "$@" train prompts decode
printf '\n## A larger model\n\n'
compare "$@" large
printf '\n## Peak memory\n\n'
ROUNDS=1 "${PYTHON:-python3}" "$here/peak.py" "$1" "${LAYERS:-20}"
