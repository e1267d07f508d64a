# Whatever a tool writes, to a device that takes nothing: one line that names it, exit code 74.
. "$CASES/../commands.sh"
DISK=$PWD/disk
prepare
full() { # full NAME COMMAND...
  expect 74 "${@:2}" 2>err
  one_line err
  grep -q "^$TOOL: .*$1: cannot write: No space left on device; " err || fail "${*:2}: $(cat err)"
}
for option in --help --version --print-man --print-completion; do
  full '(standard output)' "$TOOL" $option >/dev/full
done
while read -r target command; do
  rm -rf made
  mkdir disk
  case $target in
    -) full '(standard output)' $command <prompts.jsonl >/dev/full ;;
    */) ;; # folders have no device: see disk-full.sh
    *)
      ln -s /dev/full disk/"$target"
      full "$target" $command >out
      [ ! -s out ]
      rm disk/"$target"
      ;;
  esac
  empty_folder disk
  rm -r disk
done < <(outputs)
