# Whatever a tool writes, to a file system that is full, after a share of the output or at its last
# page: one line that names the file, exit code 74, the target absent or as it was, nothing left over.
[ -n "${MOUNTED-}" ] || {
  for how in -m -rm; do
    if unshare $how mount -t tmpfs none . 2>/dev/null; then
      MOUNTED=1 exec unshare $how bash -eu -o pipefail "$0"
    fi
  done
  echo "may not mount a file system of its own (unshare -m)" >&2
  exit 77
}
. "$CASES/../commands.sh"
DISK=$PWD/disk
prepare
mkdir disk
page=4096
disk() { # disk PAGES
  ! mountpoint -q disk || umount disk
  mount -t tmpfs -o size=$(($1 * page)) none disk
}
pages_used() { df --block-size=$page --output=used disk | tail -1 | tr -d ' '; }
run() { # run TARGET COMMAND...
  if [ "$1" = - ]; then "${@:2}" <prompts.jsonl >disk/-; else "${@:2}" >out; fi
}

while read -r target command; do
  rm -rf made
  disk 4096
  run "$target" $command 2>err || fail "$command: $(cat err)"
  need=$(pages_used)
  [ "$need" -gt 0 ] || fail "$command: wrote nothing to the disk"
  for pages in $(printf '%s\n' 0 1 $((need / 3)) $((need * 2 / 3)) $((need - 1)) | sort -nu); do
    [ "$pages" -lt "$need" ] || continue
    what="$command, with $pages of $need pages"
    rm -rf made
    # A page that is not the tool's, and, where a file may be replaced, one of its old content.
    old=0
    case $target in -* | */ | metrics) ;; *) old=1 ;; esac
    disk $((1 + old + pages))
    printf filler >disk/filler
    [ $old = 0 ] || printf old >disk/"$target"
    expect 74 run "$target" $command 2>err
    one_line err
    case $target in
      -) name='(standard output)' ;;
      *) name=$DISK/${target%/} ;;
    esac
    case $(cat err) in
      "$TOOL: $name"*": No space left on device; "*) ;;
      *) fail "$what: $(cat err)" ;;
    esac
    case $(cat err) in *.tmp-*) fail "$what: names a temporary: $(cat err)" ;; esac
    rm disk/filler
    case $TOOL$target in
      *-) rm disk/- ;;
      nibble-trainmetrics)
        [ ! -s disk/metrics ] || [ -z "$(tail -c 1 disk/metrics)" ] || fail "$what: half a record is left"
        rm -f disk/metrics
        ;;
      nibble-train*)
        # Whole checkpoints, whole records, and no result.
        for checkpoint in disk/"$target"checkpoint-*; do
          [ ! -e "$checkpoint" ] || nibble-inspect --verify "$checkpoint" >/dev/null || fail "$what: $checkpoint"
        done
        [ -z "$(tail -c 1 disk/"$target"metrics.jsonl 2>/dev/null)" ] || fail "$what: half a record is left"
        [ -d disk/"$target" ] || mkdir disk/"$target"
        left=$(find disk/"$target" -mindepth 1 -maxdepth 1 ! -name 'checkpoint-??????' ! -name metrics.jsonl)
        [ -z "$left" ] || fail "$what: left $left"
        rm -r disk/"${target%/}"
        ;;
      *) if [ $old = 1 ]; then [ "$(cat disk/"$target")" = old ] && rm disk/"$target"; fi ;;
    esac
    empty_folder disk
  done
  # Or there is room, but not for another file: then the output cannot be created.
  [ "$target" != - ] || continue
  umount disk
  mount -t tmpfs -o nr_inodes=1 none disk
  rm -rf made
  expect 73 run "$target" $command 2>err
  one_line err
  grep -q "^$TOOL: $DISK/.*: cannot .*: No space left on device; " err || fail "$command: $(cat err)"
  empty_folder disk
done < <(outputs)
umount disk
