# Options come from a file of any kind, once they are there; what is wrong with it is named, with its
# line, in one line.
refused() { # refused CODE TEXT ARGUMENT...
  expect "$1" "$TOOL" "${@:3}" 2>err >out
  one_line err
  grep -qF -- "$2" err || fail "${*:3}: $(cat err)"
  [ ! -s out ]
}
printf '# options\nno-such-option = 1\n' >file.toml
refused 64 "$TOOL: --config=file.toml:2: --no-such-option: no such option; " --config=file.toml
refused 64 ":2: --no-such-option: no such option" --config=<(cat file.toml)
refused 64 "--config=/dev/stdin:2: --no-such-option: no such option" --config=/dev/stdin < <(cat file.toml)
refused 66 "$TOOL: --config=absent.toml: cannot read: No such file or directory; check the path" --config=absent.toml
refused 66 "$TOOL: --config=.: cannot read: Is a directory; name a file" --config=.
refused 64 "$TOOL: --config=/dev/zero: is longer than 1 MiB; " --config=/dev/zero
wrong() { # wrong TEXT TOML
  printf "$2" >file.toml
  refused 64 "$TOOL: --config=file.toml:$1" --config=file.toml
}
wrong "1: not TOML: " 'progress = \n'
wrong "1: not TOML: " '\377\376'
wrong "2: not TOML: " 'progress = "never"\nprogress = "auto"\n'
wrong '1: --progress: "often" is not one of auto, always, never; see --help' 'progress = "often"\n'
wrong "1: --progress: neither text nor a number" 'progress = 1979-05-27\n'
wrong "2: --quiet: is either true or false" '\nquiet = "yes"\n'
wrong "1: --options: no such option" '[options]\nquiet = true\n'
wrong "1: --quiet: is a section here; options stand in none" '[quiet]\nquiet = true\n'
wrong "1: --config: stands in no such file" 'config = "file.toml"\n'
wrong "1: --no-quiet: no such option" 'no-quiet = true\n'
# The command line is stronger, and what the file says then is not looked at.
printf 'progress = "often"\n' >file.toml
refused 64 "--no-such-option" --config=file.toml --progress=never --no-such-option
refused 64 "--config: its value is missing; see --help" --config
