# Options come from a file of any kind, once they are there; one that cannot be read is named.
refused() { # refused CODE TEXT ARGUMENT...
  expect "$1" "$TOOL" "${@:3}" 2>err >out
  one_line err
  grep -qF -- "$2" err || fail "${*:3}: $(cat err)"
  [ ! -s out ]
}
echo 'no-such-option = 1' >file.toml
refused 64 "--no-such-option: no such option" --config=file.toml
refused 64 "--no-such-option: no such option" --config=<(cat file.toml)
refused 64 "--no-such-option: no such option" --config=/dev/stdin < <(cat file.toml)
refused 66 "$TOOL: --config=absent.toml: cannot read: No such file or directory; check the path" --config=absent.toml
refused 66 "$TOOL: --config=.: cannot read: Is a directory; name a file" --config=.
