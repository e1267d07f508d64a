# tests/bench/gpu from end to end on the emulated GPU, as out of a bundle: every part says what it
# found, or why it found nothing; nothing that was not measured is given as a number; what fails is
# said, and all else goes on.
plain=$(dirname "$(command -v nibble-train)")
on_cuda emulated
unset NIBBLE_WGMMA
mkdir -p bundle/bin bundle/libexec/tests/{tools,support,eval}
root=$CASES/../../..
for tool in "$plain"/nibble*; do
  [ -x "$tool" ] && [ -f "$tool" ] && ln -s "$tool" bundle/bin
done
ln -sf "$CUDA_TOOLS"/nibble-* bundle/bin
ln -sf nibble-train bundle/bin/nibble
cp -r "$root"/tests/bench/{gpu,peft_step.py,bnb_expand.py} bundle/libexec
cp -r "$root"/tests/tools/{run,lib.sh,cuda} bundle/libexec/tests/tools
cp -r "$root"/tests/support/tiny-tokenizer bundle/libexec/tests/support
if [ -x "$CUDA_TOOLS/generate_rate" ]; then
  # Of 4 tokens and one round where 24 and three are asked for, which take a minute here.
  cat >bundle/libexec/generate_rate <<END
#!/bin/sh
[ "\$4 \$5" = "24 3" ] && exec "$CUDA_TOOLS/generate_rate" "\$1" "\$2" "\$3" 4 1 "\$6"
END
  chmod +x bundle/libexec/generate_rate
fi
programs=$CUDA_TOOLS/../tests/emulate
for program in kernels_cuda_test:kernels_test emulate_test:cublaslt_gpu_test; do
  [ ! -x "$programs/${program%:*}" ] || ln -s "$programs/${program%:*}" "bundle/libexec/${program#*:}"
done
export GTEST_FILTER='*Swiglu.Forward*:CublasLt.*'
gpu="bundle/libexec/gpu --shapes=tiny --length=64"
# One device has no second.
expect 69 $gpu --device=cuda:1 >said 2>err
one_line err
for wrong in --shapes=huge --parts=rate --device=cpu --minutes=x --length=64,; do
  expect 64 bundle/libexec/gpu $wrong >said 2>err
  one_line err
done
$gpu --length=64,48 --cases=merge >table 2>parts || fail "$(cat table parts)"
for length in 64 48; do
  grep -Eq "^tiny +$length +[1-9][0-9]* +- +[1-9][0-9]* +- +yes +yes$" table || fail "no steps of $length: $(cat table)"
done
for context in 64 32; do
  grep -Eq "^tiny +decoding, batch 1 at $context: [1-9][0-9]* tok/s \(predicted: -\), prompts [1-9][0-9]* tok/s, graphs: yes$" table ||
    fail "$(cat table)"
done
grep -Eq '^tiny +drawing its weights: [0-9.]+ s, quantising: [0-9]+ MiB in [0-9.]+ s, byte for byte as on the CPU$' table || fail "$(cat table)"
grep -q '^tests of tools, merge: passed$' table || fail "$(cat table)"
[ "$(grep -Ec '^tiny +(64|48)( +-){6}$' table)" = 2 ] || fail "other tools' rows: $(cat table)"
grep -q '^SKIPPED: the rate of expansion' table || fail "$(cat table)"
! grep -q FAILED table || fail "$(cat table)"
if [ -x "$programs/kernels_cuda_test" ]; then
  [ "$(grep -c 'PASSED' table)" = 3 ] || fail "the tests did not run: $(cat table)"
fi
# With no time, nothing is begun.
$gpu --minutes=0 >table 2>parts || fail "$(cat table parts)"
for what in "the ops' tests" tiny "tests of tools, train"; do
  grep -Eqx "$what: no time left: [1-9][0-9]* s are needed, there are -?[0-9]+" table || fail "$what: $(cat table)"
done
! grep -q 'PASSED\|tok/s  *[0-9]' table || fail "$(cat table)"
# To draw 8 thousand million weights takes its time, which is counted before it is begun.
$gpu --minutes=1 --parts=rates --shapes=qwen3-8b >table 2>parts || fail "$(cat table parts)"
needed=$(sed -n 's/^qwen3-8b: no time left: \([0-9]*\) s are needed, .*/\1/p' table)
[ "${needed:-0}" -gt 102 ] || fail "$(cat table)"
# A device whose wgmma is wrong is no device to measure, and is told as such.
expect 1 env NIBBLE_EMULATE_FAULT=wgmma $gpu --parts=ops,rates >table 2>parts
grep -q '^notice: attention on this GPU' table && grep -q "^FAILED: the ops' tests, exit code 1$" table || fail "$(cat table)"
grep -Eq '^tiny +64 .* no +yes$' table || fail "$(cat table)"
export NIBBLE_WGMMA=0
# The second of two devices: whoever is asked about it, or measured on it, has no other.
mkdir peers
cat >peers/python3 <<'END'
#!/bin/sh
[ "$CUDA_VISIBLE_DEVICES" = 1 ] || exit 1
case $1 in
  *peft_step.py) echo '{"median": 1234.5, "reserved_device_mib": 567, "allocated_device_mib": 89}' ;;
  *bnb_expand.py) echo 1e9 ;;
esac
END
cat >peers/nvidia-smi <<'END'
#!/bin/sh
[ "$*" = "-i 1 ${*#* * }" ] && [ "$CUDA_DEVICE_ORDER" = PCI_BUS_ID ] || exit 6
case $* in *memory.used*) echo $(($$ % 100 + 300)) ;; *) echo "a device of $0" ;; esac
END
chmod +x peers/*
expect 1 env PATH="$PWD/peers:$PATH" NIBBLE_EMULATE_DEVICES=2 NIBBLE_EMULATE_FAULT=capture \
  $gpu --device=cuda:1 --parts=rates,peers >table 2>parts
grep -q '^a device of .*/nvidia-smi$' table || fail "$(cat table parts)"
grep -Eq '^tiny +64( +1234.5 +567 +89){2}$' table || fail "$(cat table)"
grep -q '^FAILED: tiny 64: steps without CUDA graphs$' table &&
  grep -q '^FAILED: tiny: decoding at 64 without CUDA graphs$' table || fail "$(cat table)"
# A tool that fails takes its own rows away, and no others.
rm bundle/bin/nibble-train bundle/libexec/generate_rate
printf '#!/bin/sh\necho "nibble-train: no memory" >&2\nexit 71\n' >bundle/bin/nibble-train
cp bundle/bin/nibble-train bundle/libexec/generate_rate
chmod +x bundle/bin/nibble-train bundle/libexec/generate_rate
expect 1 $gpu --parts=rates >table 2>parts
grep -q '^FAILED: tiny 64: nibble-train, exit code 71: nibble-train: no memory$' table || fail "$(cat table)"
grep -q '^FAILED: tiny: decoding at 32: nibble-train: no memory$' table || fail "$(cat table)"
grep -q '^tiny .* quantising: .*byte for byte' table || fail "$(cat table)"
