# Wherever a tool writes: no permission, a parent that is missing or a file, a folder for a file or a
# file for a folder, a file that may not be written. One line that names it, exit code 73, and what
# was there stays as it was. Links are written through, and a FIFO is fed.
. "$CASES/../commands.sh"
DISK=disk
prepare
cp "$(command -v "$TOOL")" .
"${nobody[@]}" ./"$TOOL" --version >version || { echo "may not run as nobody (setpriv)" >&2; exit 77; }
mkdir -m 777 open
chmod 777 . # for what is written beside

# refused USER NAME: the command, whose output is $DISK/$target, fails so.
refused() {
  local user=() code=0
  [ "$1" = root ] || user=("${nobody[@]}")
  rm -rf made
  "${user[@]}" ./$command >stdout 2>err </dev/null || code=$?
  [ $code = 73 ] || fail "$command as $1, $2: exit code $code: $(cat err)"
  [ ! -s stdout ]
  one_line err
  grep -qF -- "$2: " err || fail "$command: wanted $2, got: $(cat err)"
}

while read -r target template; do
  [ "$target" != - ] || continue
  name=${target%/}
  command=${template//disk/open/absent}
  case $TOOL$target in
    nibble-train*/) ;; # makes the folders above its own
    *) refused root "open/absent/$name"; empty_folder open ;;
  esac
  : >open/file
  command=${template//disk/open/file}
  refused root "open/file/$name"
  [ "$(ls open)" = file ] && [ ! -s open/file ]
  rm open/file
  mkdir -m 755 open/locked
  [ "$(id -u)" = 0 ] || chmod 555 open/locked
  command=${template//disk/open/locked}
  refused nobody "open/locked/$name"
  empty_folder open/locked
  rmdir open/locked

  mkdir disk
  chmod 777 disk
  command=$template
  case $target in
    */)
      echo mine >disk/"$name"
      refused root "disk/$name"
      [ "$(cat disk/"$name")" = mine ]
      rm disk/"$name"
      # A folder that holds something is not ours to fill; an empty one is.
      if [ $TOOL != nibble-train ]; then
        mkdir disk/"$name"
        echo mine >disk/"$name"/precious
        refused root "disk/$name"
        [ "$(ls -A disk/"$name")" = precious ]
        rm disk/"$name"/precious
      fi
      rm -rf made
      ./$command
      rm -r disk/"$name"
      # Through a link.
      mkdir real
      ln -s ../real disk/"$name"
      ./$command
      [ -L disk/"$name" ] && [ "$(ls real)" != "" ] || fail "$command: the link is gone"
      rm -r real disk/"$name"
      ;;
    *)
      mkdir disk/"$name"
      refused root "disk/$name"
      rmdir disk/"$name"
      echo mine >disk/"$name"
      chmod 444 disk/"$name"
      chown 65534 disk/"$name" 2>/dev/null || true
      refused nobody "disk/$name"
      [ "$(cat disk/"$name")" = mine ]
      # One that may: it keeps its mode, and the link its place.
      chmod 640 disk/"$name"
      mv disk/"$name" real
      ln -s ../real disk/"$name"
      rm -rf made
      ./$command
      [ -L disk/"$name" ] && [ "$(cat real)" != mine ] && [ "$(stat -c %a real)" = 640 ] || fail "$command: $(ls -l disk real)"
      rm real
      rm -rf made
      ./$command # the link names what is not there yet
      [ -L disk/"$name" ] && [ -f real ]
      rm disk/"$name"
      mkfifo disk/"$name"
      cat disk/"$name" >piped &
      rm -rf made
      ./$command
      wait $!
      case $target in metrics | trace) ;; *) cmp real piped ;; esac # those hold times
      rm real piped disk/"$name"
      ln -s "$name" disk/"$name"
      refused root "disk/$name"
      rm disk/"$name"
      ;;
  esac
  empty_folder disk
  rmdir disk
done < <(outputs)
