# Each type makes a folder that verifies, the same bytes whatever the number of threads; what is no
# weight comes along.
nibble-init -q --layers=2 --hidden-size=64 --heads=4 --kv-heads=2 --intermediate-size=96 \
  --corpus="$CASES/corpus.txt" --vocab-size=300 -o model
for type in nf4 fp4 int8; do
  nibble-quantize -q model -o $type --type=$type --threads=1 2>err
  [ ! -s err ] || fail "--quiet wrote: $(cat err)"
  nibble-quantize -q model -o again --type=$type --threads=2
  diff -r $type again
  rm -r again
  nibble-inspect $type --verify >/dev/null
  cmp model/tokenizer.model $type/tokenizer.model
done
nibble-quantize model -o plain --no-double-quant --block-size=128 2>err
grep -q '^nibble-quantize: 14 weights to nf4' err || fail "$(cat err)"
grep -q '"bnb_4bit_use_double_quant": false' plain/config.json
nibble-quantize -q model -o all --skip=none
grep -q '"llm_int8_skip_modules": \[\]' all/config.json
nibble-inspect all | grep -q 'lm_head.weight.absmax'
nibble-quantize -q model -o some --skip=lm_head,model.layers.0,up_proj
nibble-inspect some >listing
grep -q 'model.layers.1.mlp.down_proj.weight.absmax' listing
grep -q 'layers.0.*absmax\|up_proj.*absmax\|lm_head.*absmax' listing && fail "quantised what --skip names"
nibble-quantize -q model -o sharded --max-shard-size=20kB
[ -f sharded/model.safetensors.index.json ]
nibble-quantize -q model -o reported --report >table
[ "$(wc -l <table)" = 15 ] # a heading and 14 weights
nibble-quantize -q model -o told --report --json >lines
[ "$(wc -l <lines)" = 14 ]
head -1 lines | grep -qE '^\{"tensor": "model.layers.0.mlp.down_proj.weight", "max": [0-9.e-]+, "rms": [0-9.e-]+, "snr_db": [12][0-9.]+\}$' || fail "$(head -1 lines)"
