# Whatever a tool reads: missing, without permission, behind a folder without permission, a folder
# for a file or a file for a folder, a link to nothing, a FIFO. One line that names it, exit code 66
# (64 or 65 where what is there can be read and is wrong), and nothing is written.
. "$CASES/../commands.sh"
prepare
cp "$(command -v "$TOOL")" .
"${nobody[@]}" ./"$TOOL" --version >version || { echo "may not run as nobody (setpriv)" >&2; exit 77; }
mkdir -m 777 out

# try USER PATH: runs the command on that path, as root or as nobody; $code is its exit code.
try() {
  local user=()
  [ "$1" = root ] || user=("${nobody[@]}")
  code=0
  timeout 20 "${user[@]}" ./${command//@/$2} >stdout 2>err || code=$?
  what="${command//@/$2} as $1"
}
# refused CODES NAME: what try() ran failed so, named that, and left nothing.
refused() {
  case " $1 " in *" $code "*) ;; *) fail "$what: exit code $code: $(cat err)" ;; esac
  [ ! -s stdout ] || fail "$what: wrote $(head -3 stdout)"
  one_line err
  grep -qF -- "$2" err || fail "$what: $(cat err)"
  empty_folder out
}
# passed_or CODES NAME: or it did not need that.
passed_or() {
  if [ $code != 0 ]; then refused "$@"; fi
  rm -rf out/*
}

while read -r kind name command; do
  end=${name##*.}
  [ "$kind" != folder ] || end=folder
  rm -rf closed fifo.* copy.* wrong.*
  ln -s nowhere copy.link
  for path in absent.$end absent/below.$end copy.link; do
    try root $path
    refused "64 66" ${path%%/*}
  done

  cp -r "$name" copy.$end
  mkdir -m 700 closed
  cp -r "$name" closed/copy.$end
  [ "$(id -u)" = 0 ] || chmod 000 closed
  try nobody closed/copy.$end
  refused 66 "closed/copy.$end"
  chmod 700 closed
  chmod 000 copy.$end
  try nobody copy.$end
  refused 66 "copy.$end"
  chmod 755 copy.$end

  if [ "$kind" = folder ]; then
    echo text >wrong.folder
    for part in copy.folder/*; do # each of its files, where it is needed at all
      chmod 000 "$part"
      try nobody copy.folder
      passed_or 66 "$part: cannot read: Permission denied"
      chmod 644 "$part"
      mv "$part" kept
      ln -s nowhere "$part"
      try root copy.folder
      passed_or 66 "$part"
      rm "$part"
      mkdir "$part"
      try root copy.folder
      passed_or "65 66" "$part"
      rmdir "$part"
      mkfifo "$part"
      try root copy.folder
      passed_or "65 66" "$part"
      rm "$part"
      mv kept "$part"
    done
  else
    mkdir wrong.$end
    mkfifo fifo.$end
    if [ "$kind" = file ]; then
      try root fifo.$end
      refused "64 66" fifo.$end
    else
      try root "$name"
      mv out/x alone
      cat "$name" >fifo.$end &
      try root fifo.$end
      diff -r out/x alone
      rm -r out/x alone
    fi
  fi
  try root wrong.$end
  refused "64 65 66 69" wrong.$end # a template may be a file
done < <(inputs)
