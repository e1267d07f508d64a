# How CUDA's compiler is called: by whatever launcher was asked for, what wgmma is in by
# scripts/refuse-serialized before that; and no word too many where there is none.
root=$(cd "$CASES/../../.." && pwd)
PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin
for program in cmake ninja nvcc; do
  command -v $program >/dev/null || { echo "no $program here" >&2; exit 77; }
done
unset CMAKE_CUDA_COMPILER_LAUNCHER
configure() {
  cmake -S "$root" -B made -G Ninja -DNIBBLE_TESTS=OFF -DCMAKE_CUDA_ARCHITECTURES=90 "$@" >said 2>&1 || fail "$(cat said)"
  ! grep "without CUDA: " said >&2 || exit 77
  nvcc=$(sed -n 's/^NIBBLE_NVCC:FILEPATH=//p' made/CMakeCache.txt)
}
# called FILE: what comes before nvcc's options.
called() {
  ninja -C made -t commands | sed -n "/ -c [^ ]*\/$1 /s/nvcc .*/nvcc/p" >command
  one_line command
  cat command
}
check() {  # check WORDS-BEFORE-NVCC...
  local plain=${1:+$1 }$nvcc
  [ "$(called rope.cu)" = "$plain" ] || fail "launcher '$1': $(cat command)"
  [ "$(called attention_forward_hopper.cu)" = "$root/scripts/refuse-serialized $plain" ] ||
    fail "launcher '$1': $(cat command)"
}
configure
check ""
configure "-DCMAKE_CUDA_COMPILER_LAUNCHER=env;A=1"
check "env A=1"
configure -DCMAKE_CUDA_COMPILER_LAUNCHER=
check ""
# Who wants no warnings as errors is not held up by it either.
configure -DNIBBLE_WERROR=OFF
[ "$(called attention_forward_hopper.cu)" = "$nvcc" ] || fail "$(cat command)"
