# nibble-train on the GPU: the CPU's losses in fp32, the same bits for every way to save
# memory, without CUDA graphs and after a resume, and an adapter that the CPU's tools read.
on_cuda
tiny_data 60 32
nibble-quantize -q model -o nf4
on="-q --threads=1 --model=nf4 --data=train.nbp --batch-size=2 --accumulate=2 --steps=4"
numbers() { grep -o '"loss": *[^,]*' "$1/metrics.jsonl" | tr -dc '0-9.\n'; }

nibble-train $on --compute=f32 -o cpu
nibble-train $on --compute=f32 --device=cuda -o gpu
paste <(numbers cpu) <(numbers gpu) |
  awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 1e-5 * $1) exit 1 } END { exit NR != 4 }' ||
  fail "losses differ: $(numbers cpu) and $(numbers gpu)"

# In bf16, dropout and noise on: every policy, and a run cut in two.
options="$on --device=cuda --dropout=0.1 --neftune=5 --optimizer=adamw-8bit --save-every=2"
NIBBLE_WGMMA=1 nibble-train $options --recompute=none -o whole
for policy in norm layer sqrt; do
  nibble-train $options --recompute=$policy -o $policy
  cmp whole/adapter_model.safetensors $policy/adapter_model.safetensors
done
# Without dropout, adapters are part of the weights' products.
woven="$on --device=cuda --neftune=5"
nibble-train $woven --recompute=none -o woven
for how in "norm --keep-weights=1" "layer --stream-weights --no-graphs"; do
  nibble-train $woven --recompute=$how -o how
  cmp woven/adapter_model.safetensors how/adapter_model.safetensors
  rm -r how
done
# Weights kept expanded, streamed from the host, or some of both.
for weights in --keep-weights=none --keep-weights=1 "--stream-weights --host-embedding" \
  "--keep-weights=1 --stream-weights=1"; do
  nibble-train ${options#-q} --recompute=layer $weights -o placed 2>said
  cmp whole/adapter_model.safetensors placed/adapter_model.safetensors
  case $weights in
    *none) ! grep -q "weights kept expanded\|streamed layers" said ;;
    *keep*) grep -q "weights kept expanded" said ;;
    *) grep -q "streamed layers coming in" said ;;
  esac || fail "$weights: the plan was: $(cat said)"
  rm -r placed
done
# Deterministic: the same bits twice, of sums made otherwise than the fastest way, and it says so.
for run in 1 2; do
  nibble-train ${options#-q} --recompute=none --deterministic -o same$run 2>said
  grep -q "deterministic: products add up in one sequence" said || fail "said: $(cat said)"
done
cmp same1/adapter_model.safetensors same2/adapter_model.safetensors
# The real library need not cut such small sums into parts.
[ -z "${EMULATED:-}" ] || ! cmp -s whole/adapter_model.safetensors same1/adapter_model.safetensors ||
  fail "--deterministic changed no product"

nibble-train $options --recompute=none --no-graphs -o plain
cmp whole/adapter_model.safetensors plain/adapter_model.safetensors
# State paged, and a run that goes on with it resident, or the other way round.
nibble-train ${options/adamw-8bit/paged-adamw-8bit} --recompute=none -o paged
cmp whole/adapter_model.safetensors paged/adapter_model.safetensors
cp -r paged cut
rm -r cut/checkpoint-000004 cut/adapter_*
nibble-train $options --recompute=none -o cut --resume
cmp whole/adapter_model.safetensors cut/adapter_model.safetensors
cmp whole/checkpoint-000004/trainer_state.safetensors cut/checkpoint-000004/trainer_state.safetensors
rm -r cut

cp -r whole cut
rm -r cut/checkpoint-000004 cut/adapter_*
nibble-train $options --recompute=none -o cut --resume
cmp whole/adapter_model.safetensors cut/adapter_model.safetensors

# Sums made in another way are refused by name, where the checkpoint tells it; another device is said.
refused() { # refused RUN TEXT OPTION...
  expect 65 nibble-train $options --recompute=none -o "$1" --resume "${@:3}" 2>err
  one_line err
  grep -qF -- "$1/checkpoint-000002/trainer_state.json: --deterministic $2: the result would differ; " err ||
    fail "wanted '$2', got: $(cat err)"
}
rm -r {cut,same1}/checkpoint-000004 {cut,same1}/adapter_*
refused cut "was false and is true now" --deterministic
refused same1 "was true and is false now"
nibble-train $options --recompute=none -o same1 --resume --deterministic
cmp same1/adapter_model.safetensors same2/adapter_model.safetensors
cp -r cut older
sed -i '/^ *"deterministic":/d; /^ *"device":/d' older/checkpoint-000002/trainer_state.json
nibble-train ${options#-q} --recompute=none -o older --resume --deterministic 2>said
! grep -q "may differ" said || fail "$(cat said)"
moved=${options/--device=cuda/}
nibble-train ${moved#-q} -o cut --resume 2>said
grep -q "it was made on cuda, this run computes on cpu: last digits may differ" said || fail "$(cat said)"
# By way of another device a run may go on in another way, and then keep a step of before.
nibble-tokenize -q --text --model=model text.txt | nibble-pack -q --model=model --length=64 -o long.nbp
best="${on/train.nbp/long.nbp} --device=cuda --validation=long.nbp --eval-every=1 --save-every=1 --keep=9 --keep-best"
best+=" --learning-rate=1 --schedule=constant"
nibble-train $best --deterministic -o best
rm -r best/checkpoint-00000[34] best/adapter_*
nibble-train ${best/--device=cuda/} -o best --resume
rm -r best/checkpoint-000004 best/adapter_*
nibble-train ${best#-q} -o best --resume 2>said
grep -q "keeping step [12]," said || fail "$(cat said)"
nibble-train $on --device=cuda --method=full --model=model -o full
nibble-merge -q --model=model --adapter=whole -o merged
