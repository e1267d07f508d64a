# A reader that has gone ends a tool without a word, as it does any Unix tool: nothing on standard
# error, nothing left over, the exit code of SIGPIPE.
. "$CASES/../commands.sh"
DISK=$PWD/disk
prepare
mkdir disk
gone() { # gone COMMAND...: its standard output is a pipe that nobody reads
  local code=0
  mkfifo unread
  exec 4<>unread 3>unread 4>&-
  rm unread
  "$@" 2>err >&3 || code=$?
  exec 3>&-
  [ $code = 141 ] || fail "$*: exit code $code: $(cat err)"
  [ ! -s err ] || fail "$*: $(cat err)"
}
for option in --help --version --print-man --print-completion; do gone "$TOOL" $option; done
while read -r target command; do
  rm -rf made
  [ "$target" != - ] || gone $command <prompts.jsonl
  empty_folder disk
done < <(outputs)

# Closed standard streams are not handed to the first files that are opened.
while read -r target command; do
  rm -rf made disk
  mkdir disk
  if [ "$target" = - ]; then
    expect 74 $command <prompts.jsonl >&- 2>err
    one_line err
  elif [ "$TOOL" != nibble-fit ]; then # which answers on standard output whatever it draws
    $command <&- >&- 2>&-
    [ -e disk/"$target" ] || fail "$command wrote nothing"
    mv disk alone
    mkdir disk
    rm -rf made
    $command
    case $TOOL$target in
      nibble-train* | *trace) ;; # these hold times
      *) diff -r disk alone ;;
    esac
    rm -r alone
  fi
done < <(outputs)
