# A tool goes by its own name in the table of processes, and so do its threads, even where its file is
# gone.
unset GOMP_SPINCOUNT OMP_WAIT_POLICY OMP_PROC_BIND
cp "$(command -v nibble-tokenize)" .
for threads in 1 2; do
  mkfifo in
  ./nibble-tokenize -q --threads=$threads --text --model="$tiny_model" in >out &
  pid=$!
  [ $threads = 1 ] || rm nibble-tokenize
  exec 3>in # it is reading
  for name in /proc/$pid/comm /proc/$pid/task/*/comm; do
    [ "$(cat "$name")" = nibble-tokenize ] || fail "$name: $(cat "$name")"
  done
  [ "$(tr '\0' '\n' </proc/$pid/cmdline | head -1)" = ./nibble-tokenize ]
  echo text >&3
  exec 3>&-
  wait $pid
  [ -s out ]
  rm in
done
