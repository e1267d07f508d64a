# A CUDA compiler that is too old: configuring goes on without, and says so; where CUDA was asked for
# it ends there.
root=$(cd "$CASES/../../.." && pwd)
command -v cmake >/dev/null || { echo "no cmake here" >&2; exit 77; }
nvcc() {  # nvcc RELEASE: one that says so, and can do nothing else
  printf '#!/bin/sh\n[ "$*" = --version ] || exit 1\necho "Cuda compilation tools, release %s"\n' "$1" >nvcc
  chmod +x nvcc
}
configure() {
  rm -rf made
  cmake -S "$root" -B made -DNIBBLE_TESTS=OFF -DNIBBLE_NVCC="$PWD/nvcc" "$@" >said 2>&1
}
for release in "11.8, V11.8.89" "12.9, V12.9.86"; do
  nvcc "$release"
  configure || fail "$release: $(cat said)"
  grep -q "without CUDA: .*nvcc is of CUDA ${release%%,*}, 13.0 is the least" said || fail "$release: $(cat said)"
  expect 1 configure -DNIBBLE_CUDA=ON
  tr -s '\n ' ' ' <said | grep -q "NIBBLE_CUDA=ON, but .*nvcc is of CUDA ${release%%,*}" || fail "$release: $(cat said)"
done
# One that is new enough is taken, and found to be none.
nvcc "13.0, V13.0.88"
expect 1 configure
! grep -q "without CUDA" said || fail "$(cat said)"
