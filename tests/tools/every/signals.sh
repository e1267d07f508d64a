# A tool that is told to end while it writes leaves nothing unfinished, says nothing, and ends by
# that signal; one that may not be interrupted (nohup) is not.
. "$CASES/../commands.sh"
prepare
mkdir out
mkfifo input.fifo
while read -r kind name command; do
  [ "$kind" = lines ] || continue
  for signal in TERM INT HUP; do
    # A shell has what it starts in the background ignore INT.
    env --default-signal=INT ${command//@/input.fifo} 2>err >stdout &
    pid=$!
    exec 3>input.fifo # it is reading
    head -c 2000 "$name" >&3
    until [ -n "$(ls -A out)" ]; do kill -0 $pid; done
    case $(ls -A out) in *.tmp-*) ;; *) fail "$command has written: $(ls -A out)" ;; esac
    kill -$signal $pid
    code=0
    wait $pid || code=$?
    exec 3>&-
    [ $code = $((128 + $(kill -l $signal))) ] || fail "$command: exit code $code after SIG$signal: $(cat err)"
    [ ! -s err ] || fail "$command: $(cat err)"
    empty_folder out
  done
  (trap '' HUP; exec ${command//@/input.fifo}) &
  pid=$!
  exec 3>input.fifo
  until [ -n "$(ls -A out)" ]; do kill -0 $pid; done
  kill -HUP $pid
  cat "$name" >&3
  exec 3>&-
  wait $pid
  rm -r out/x
done < <(inputs)

# A file that may not grow is a failed write.
while read -r target command; do
  case $TOOL$target in *-) continue ;; nibble-train* | *trace) continue ;; esac
  command=${command//-o \$DISK\//-o out/}
  (ulimit -f 0; expect 74 $command 2>&1) | cat >err || fail "$(cat err)" # to a pipe: that may grow
  one_line err
  grep -q "File too large" err || fail "$command: $(cat err)"
  empty_folder out
done < <(DISK=out outputs)
