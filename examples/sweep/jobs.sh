# SPDX-License-Identifier: Apache-2.0
# How many runs may go beside each other: sh jobs.sh NIBBLE_FIT MODEL MEMORY OPTION...
# As many as there are processors and as fit into MEMORY (0: what other programs leave), by what
# nibble-fit says that one with these options takes.
fit=$1 model=$2 memory=$3
shift 3
plan=$("$fit" "$model" --memory-limit="$memory" --json "$@")
code=$?
[ $code -le 1 ] || exit $code
need=$(printf '%s\n' "$plan" | sed -n 's/.*"fits": [a-z]*, "total": \([0-9]*\).*/\1/p')
have=$(printf '%s\n' "$plan" | sed -n 's/.*"limit": \([0-9]*\).*/\1/p')
if [ "$memory" = 0 ]; then
  have=$(awk -v have="$have" '/^MemAvailable:/ && 1024 * $2 < have { have = 1024 * $2 }
    END { printf "%.0f", have }' /proc/meminfo)
fi
awk -v need="$need" -v have="$have" -v cores="$(nproc)" 'BEGIN {
  jobs = int(have / need)
  if (jobs > cores) jobs = cores
  printf "one run takes %.0f MiB of %.0f MiB\n", need / 1048576, have / 1048576 >"/dev/stderr"
  if (jobs < 1) exit 71
  print jobs }'
