# Activations in the host's memory, alone and with all else that saves memory: the bits of a run with
# everything on the device. Six layers, so that most of them leave.
on_cuda
tiny_data 60 32
nibble-init -q --tokenizer="$tiny_model" --layers=6 --hidden-size=64 --heads=4 --kv-heads=2 \
  --intermediate-size=96 -o deep
nibble-quantize -q deep -o nf4
on="-q --threads=1 --model=nf4 --data=train.nbp --batch-size=2 --accumulate=2 --steps=2 --device=cuda"
on+=" --neftune=5 --save-every=1"
# What is on the device is what was planned, but for the context and graphs, which are assumed, and
# 32 KiB for sums' parts and for what allocations are rounded up to. What a real context takes is not
# known to the byte.
number() { grep -o "\"$1\": *[0-9]*" "$2/metrics.jsonl" | head -1 | tr -dc 0-9; }
as_planned() {
  local graphs
  [ -n "${EMULATED:-}" ] || return 0
  graphs=$(number "CUDA graphs (assumed)" "$1") || graphs=0
  local more=$(($(number peak_device "$1") + (450 << 20) + graphs - $(number planned_device "$1")))
  [ $more -ge 0 ] && [ $more -le 32768 ] || fail "$1: $more bytes on the device beyond the plan"
}
nibble-train $on --recompute=none -o plain
as_planned plain
for policy in none norm layer sqrt; do
  nibble-train $on --recompute=$policy --offload-activations --optimizer=paged-adamw -o $policy
  as_planned $policy
  cmp plain/adapter_model.safetensors $policy/adapter_model.safetensors
  cmp plain/checkpoint-000002/trainer_state.safetensors $policy/checkpoint-000002/trainer_state.safetensors
done
# All ways at once, and what --memory-limit takes of them. Without graphs, which need more here than
# so small a model's activations.
on+=" --no-graphs"
nibble-train $on --recompute=layer --offload-activations --optimizer=paged-adamw --stream-weights \
  --host-embedding -o all
as_planned all
cmp plain/adapter_model.safetensors all/adapter_model.safetensors
nibble-train ${on#-q} --memory-limit="$(number planned_device all)" -o chosen 2>said
as_planned chosen
grep -q "with --recompute=layer .*--stream-weights=.*--host-embedding" said || fail "$(grep planned said)"
cmp plain/adapter_model.safetensors chosen/adapter_model.safetensors
grep -q '"plan_host": *{[^}]*"activations, pinned"' layer/metrics.jsonl || fail "no pinned activations planned"

# The host's memory is no more endless than the device's.
expect 71 nibble-train $on --offload-activations --host-memory=64KiB -o never 2>err
one_line err
grep -q "of the host's memory, --host-memory allows 0 MiB" err || fail "$(cat err)"

# On the CPU they are there already.
expect 64 nibble-train ${on/--device=cuda/} --offload-activations -o none-on-cpu 2>err
one_line err
grep -q "offload-activations.*host" err || fail "$(cat err)"
