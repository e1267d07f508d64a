# What cannot be imported is named in one line, with its exit code, and leaves nothing behind.
mkdir out-parent
check() {  # check CODE TEXT ARGUMENT...
  local code=$1 text=$2
  shift 2
  expect "$code" nibble-import "$@" >out 2>err
  [ ! -s out ]
  one_line err
  grep -qF -- "$text" err || fail "not '$text' but: $(cat err)"
  empty_folder out-parent
}
target="-o out-parent/m"
check 66 "none.gguf: no such file or folder" none.gguf $target
: >empty
check 65 "empty: only 0 bytes long" empty $target
printf 'GGUF\3\0\0\0\377\377\377\377\377\377\377\377\0\0\0\0\0\0\0\0' >hostile.gguf
check 65 "hostile.gguf: claims 18446744073709551615 tensors" hostile.gguf $target
mkdir folder
check 66 "folder: no config.json" folder $target
echo '{"model_type": "gpt_bigcode"}' >folder/config.json
check 69 'model family "gpt_bigcode" is not supported' folder $target
echo '{"model_type": "llama", ' >folder/config.json
check 65 "config.json" folder $target
check 64 "--dtype" hostile.gguf $target --dtype=fp8
check 64 "out" hostile.gguf
mkdir out-parent/m && touch out-parent/m/precious
expect 73 nibble-import hostile.gguf $target 2>err
one_line err
[ -e out-parent/m/precious ]
expect 73 nibble-import hostile.gguf -o no/such/parent/m 2>err
one_line err
