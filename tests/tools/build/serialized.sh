# What ptxas says of wgmma that goes one by one ends a build; all else is the compiler's own.
refuse=$CASES/../../../scripts/refuse-serialized
compiler() {  # compiler STATUS TEXT
  printf '#!/bin/sh\necho made "$@"\necho "%s" >&2\nexit %s\n' "$2" "$1" >compiler
  chmod +x compiler
}
compiler 0 "ptxas info : used 168 registers"
[ "$("$refuse" ./compiler -c "a b" 2>err)" = "made -c a b" ] || fail "another command was run"
grep -qx "ptxas info : used 168 registers" err || fail "$(cat err)"
compiler 2 "no such file"
expect 2 "$refuse" ./compiler >out 2>err
for number in C7510 C7511; do
  compiler 0 "ptxas info : ($number) Potential Performance Loss: wgmma.mma_async instructions are serialized due to ..."
  expect 1 "$refuse" ./compiler >out 2>err
  grep -q "$number" err && tail -1 err | grep -q "wgmma goes one by one" || fail "$(cat err)"
done
