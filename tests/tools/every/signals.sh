# A tool that a signal ends while it writes leaves nothing unfinished, says nothing, and ends by that
# signal; one that may not be interrupted (nohup) is not.
. "$CASES/../commands.sh"
prepare
ulimit -c 0 # some would dump core
signals="TERM INT HUP QUIT USR1 USR2 ALRM XCPU ABRT PWR"
mkdir out
mkfifo input.fifo
while read -r kind name command; do
  [ "$kind" = lines ] || continue
  for signal in $signals; do
    # A shell has what it starts in the background ignore INT and QUIT.
    env --default-signal=INT,QUIT ${command//@/input.fifo} 2>err >stdout &
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

# What is a model's size is worst left. These read no pipe: they are met while they write a model
# that takes a while, or tried again.
case $TOOL in
  nibble-quantize) command="nibble-quantize -q --threads=1 large -o out/x" ;;
  nibble-merge) command="nibble-merge -q --threads=1 --model=large --adapter=beside -o out/x" ;;
  *) command= ;;
esac
if [ -n "$command" ]; then
  nibble-init -q --tokenizer="$tiny_model" --layers=6 --hidden-size=384 --heads=6 -o large
  nibble-train -q --threads=1 --model=large --data=train.nbp --steps=1 --batch-size=1 --rank=1 -o beside
  for signal in $signals; do
    for try in 1 2 3 4 5; do
      env --default-signal=INT,QUIT $command 2>err &
      pid=$!
      until compgen -G "out/x*" >/dev/null || ! kill -0 $pid 2>/dev/null; do :; done
      kill -$signal $pid 2>/dev/null || true
      code=0
      wait $pid || code=$?
      [ $code = 0 ] || break
      rm -r out/x
    done
    [ $code = $((128 + $(kill -l $signal))) ] || fail "$command: exit code $code after SIG$signal: $(cat err)"
    [ ! -s err ] || fail "$command: $(cat err)"
    empty_folder out
  done
fi

# A file that may not grow is a failed write.
while read -r target command; do
  case $TOOL$target in *-) continue ;; nibble-train* | *trace) continue ;; esac
  command=${command//-o \$DISK\//-o out/}
  (ulimit -f 0; expect 74 $command 2>&1) | cat >err || fail "$(cat err)" # to a pipe: that may grow
  one_line err
  grep -q "File too large" err || fail "$command: $(cat err)"
  empty_folder out
done < <(DISK=out outputs)
