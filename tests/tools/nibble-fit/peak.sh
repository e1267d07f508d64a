# The plan is the peak: nibble-train's resident memory is within 3% or 16 MiB of what was planned,
# and nibble-fit plans the same bytes, over models, methods, ranks, batches, lengths, optimizers and
# ways to recompute. NIBBLE_SLOW=1 adds plans of up to 8 GiB, for which a machine of 16 is needed.
# The grid is walked to its end, and every point that misses is named.
missed=0
point() {  # point MODEL_OPTIONS LENGTH BATCH TRAIN_OPTIONS [QUANTIZE_OPTIONS]
  local length=$2 batch=$3 model=model
  rm -rf model quantised out train.nbp
  nibble-init -q --tokenizer="$tiny_model" --max-position=8192 $1 -o model
  if [ -n "${5-}" ]; then
    model=quantised
    nibble-quantize -q model $5 -o quantised
  fi
  # Rows that are full and all trained on.
  awk -v rows=$((2 * batch)) -v length_="$length" 'BEGIN {
    for (r = 0; r < rows; ++r) {
      ids = labels = ""
      for (t = 0; t < length_; ++t) {
        id = (r * length_ + t) * 15 % 264
        ids = ids (t ? "," : "") id
        labels = labels (t ? "," id : -100)
      }
      print "{\"input_ids\":[" ids "],\"labels\":[" labels "]}"
    } }' | nibble-pack -q --model=$model --length="$length" -o train.nbp
  nibble-train -q --threads=2 --model=$model --data=train.nbp --steps=2 --batch-size="$batch" \
    --memory-limit=64GiB $4 -o out
  local planned peak fit
  read -r peak planned < <(sed -n '$s/.*"peak_rss": \([0-9]*\), "planned_rss": \([0-9]*\).*/\1 \2/p' out/metrics.jsonl)
  fit=$(nibble-fit $model --threads=2 --data=train.nbp --batch-size="$batch" $4 --json --memory-limit=64GiB |
    grep -o '"fits": [a-z]*, "total": *[0-9]*' | sed 's/.*: *//')
  [ "$fit" = "$planned" ] || fail "nibble-fit plans $fit bytes, nibble-train $planned: $*"
  awk -v planned="$planned" -v peak="$peak" -v what="$*" 'BEGIN {
    difference = peak - planned; allowed = 0.03 * planned
    if (allowed < 16 * 2 ^ 20) allowed = 16 * 2 ^ 20
    printf "planned %.1f MiB, peak %+.1f MiB (%+.1f%%): %s\n", planned / 2 ^ 20, difference / 2 ^ 20,
      100 * difference / planned, what
    exit (difference < 0 ? -difference : difference) > allowed }' >&2 || missed=$((missed + 1))
}

small="--layers=6 --hidden-size=256 --heads=8 --kv-heads=4 --intermediate-size=704"
for recompute in none norm sqrt layer; do point "$small" 512 4 "--recompute=$recompute"; done
point "$small" 256 4 "--recompute=layer"
point "$small" 512 4 "--rank=256 --targets=q_proj,v_proj"
point "$small" 128 2 "--method=full"
point "$small" 256 2 "--method=full --optimizer=adamw-8bit --recompute=layer"
point "$small" 1024 1 "--compute=f32 --optimizer=sgd"
point "$small --family=qwen3 --head-dim=64 --vocab-size=8000 --tied" 512 2 "--dropout=0.1 --neftune=5" --type=nf4
point "$small --family=qwen2 --dtype=bf16" 64 16 "--accumulate=2 --modules-to-save=embed_tokens" --type=int8
point "$small" 512 2 "--keep-weights=all" --type=nf4
point "$small --dtype=bf16" 256 2 "--keep-weights=4 --recompute=layer"
# A large vocabulary leaves nothing behind when it has been read.
[ -z "${NIBBLE_DATA:-}" ] ||
  tiny_model=$NIBBLE_DATA/tokenizers/qwen3 point "$small --tied --dtype=bf16" 128 2 "--recompute=none"

if [ "${NIBBLE_SLOW:-0}" = 1 ]; then
  wide="--layers=8 --hidden-size=1024 --heads=16 --kv-heads=4 --intermediate-size=2816 --vocab-size=32000"
  deep="--family=qwen3 --layers=28 --hidden-size=512 --heads=8 --kv-heads=4 --head-dim=64 --intermediate-size=1536 --vocab-size=50000 --tied"
  tall="--layers=12 --hidden-size=256 --heads=8 --kv-heads=2 --intermediate-size=704"
  thin="--layers=8 --hidden-size=128 --heads=4 --kv-heads=2 --intermediate-size=352"
  huge="--layers=10 --hidden-size=2048 --heads=16 --kv-heads=8 --intermediate-size=5632 --dtype=bf16"
  point "$wide" 128 2 "--method=full"
  point "$wide" 128 2 "--method=full --optimizer=sgd --recompute=sqrt"
  point "$wide" 512 2 "--rank=128" --type=nf4
  point "$wide --dtype=bf16" 512 4 "--targets=q_proj,v_proj --recompute=layer"
  point "$wide" 2048 2 "--rank=512 --recompute=norm --optimizer=adamw-8bit" --type=nf4
  point "$deep" 1024 2 "--rank=8"
  point "$deep" 1024 2 "--rank=8 --recompute=sqrt" --type=nf4
  point "$deep" 512 2 "--rank=8 --modules-to-save=embed_tokens,lm_head --recompute=layer"
  point "$deep" 2048 2 "--rank=8 --recompute=layer"
  point "$tall" 1024 32 "--recompute=none"
  point "$tall" 1024 32 "--recompute=norm"
  point "$tall" 2048 16 "--recompute=layer --rank=64"
  point "$thin" 256 512 "--recompute=none"
  point "$thin" 256 1024 "--recompute=none --rank=8" --type=nf4
  point "$thin --family=qwen3 --head-dim=64" 512 384 "--recompute=norm --dropout=0.05 --optimizer=adamw-8bit" --type=int8
  point "$thin --family=qwen2 --tied" 128 768 "--recompute=none --compute=f32 --method=full"
  point "$thin --family=mistral --layers=25" 256 512 "--recompute=sqrt --rank=64"
  point "$huge" 64 1 "--method=full"
  point "$huge" 128 1 "--method=full --optimizer=adamw-8bit --recompute=sqrt"
  point "$huge" 64 2 "--method=full --optimizer=sgd"
  point "$huge" 64 1 "--rank=1024" --type=nf4
  point "$huge" 512 4 "--rank=128 --recompute=layer"
fi
[ "$missed" = 0 ] || fail "$missed points of the grid miss the plan"
