# tests/bench/gpu from end to end on the emulated GPU, as out of a bundle: every part says what it
# found, or why it found nothing; nothing that was not measured is given as a number.
mkdir -p bundle/bin bundle/libexec
root=$CASES/../../..
for tool in "$(dirname "$(command -v nibble-train)")"/nibble*; do
  [ -x "$tool" ] && [ -f "$tool" ] && ln -s "$tool" bundle/bin
done
ln -sf "$EMULATED"/nibble-* bundle/bin
ln -s nibble-train bundle/bin/nibble
cp -r "$root"/tests/bench/{gpu,peft_step.py,bnb_expand.py} "$root/tests/support/tiny-tokenizer" bundle/libexec
cases=$EMULATED/../tests/emulate
for program in kernels_cuda_test:kernels_test emulate_test:cublaslt_gpu_test; do
  [ ! -x "$cases/${program%:*}" ] || ln -s "$cases/${program%:*}" "bundle/libexec/${program#*:}"
done
# One device has no second.
expect 69 bundle/libexec/gpu --device=cuda:1 --shapes=tiny >said 2>err
one_line err
expect 64 bundle/libexec/gpu --shapes=huge >said 2>err
one_line err
GTEST_FILTER='*Swiglu.Forward*:CublasLt.*' bundle/libexec/gpu --shapes=tiny --length=64,48 >table 2>parts || fail "$(cat table parts)"
grep -Eq '^tiny +64 +[1-9][0-9]* +[1-9][0-9]* +-$' table || fail "no steps of 64: $(cat table)"
grep -Eq '^tiny +48 +[1-9][0-9]* +[1-9][0-9]* +-$' table || fail "no steps of 48: $(cat table)"
grep -Eq '^tiny +decoding, batch 1: ([1-9][0-9]* tok/s|too short to tell)$' table || fail "$(cat table)"
grep -Eq '^tiny +quantising: [0-9]+ MiB in [0-9.]+ s, byte for byte as on the CPU$' table || fail "$(cat table)"
[ "$(grep -Ec '^tiny +(64|48) +- +-$' table)" = 2 ] || fail "other tools' rows: $(cat table)"
grep -q '^SKIPPED: the rate of expansion' table || fail "$(cat table)"
if [ -x "$cases/kernels_cuda_test" ]; then
  [ "$(grep -c 'PASSED' table)" = 2 ] || fail "the tests did not run: $(cat table)"
fi
# With no time, nothing is begun.
GTEST_FILTER='*Swiglu.Forward*:CublasLt.*' bundle/libexec/gpu --shapes=tiny --minutes=0 >table 2>parts
grep -q '^tiny: no time left$' table || fail "$(cat table)"
