# A checkpoint goes on only as the run that it is of: another base of the same shape, another
# adapter, other data or other options are refused by name, and nothing is changed.
tiny_data
sed 's/item/thing/' text.txt | nibble-tokenize -q --text --model=model |
  nibble-pack -q --model=model --length=64 -o other.nbp
nibble-init -q --tokenizer="$tiny_model" --layers=2 --hidden-size=64 --heads=4 --kv-heads=2 \
  --intermediate-size=96 --seed=1 -o twin
nibble-quantize -q model -o nf4
options=(-q --threads=1 --model=model --data=train.nbp --steps=4 --save-every=2 --keep=9)
nibble-train "${options[@]}" --seed=3 -o first
nibble-train "${options[@]}" --seed=4 -o second
nibble-train "${options[@]}" -o out --adapter=first --validation=other.nbp
cp out/adapter_model.safetensors whole
nibble-train "${options[@]}" -o plain
rm -r out/checkpoint-000004 out/adapter* plain/checkpoint-000004 plain/adapter*
refused() { # refused OUT TEXT OPTION...
  cp -r "$1" before
  expect 65 nibble-train "${options[@]}" -o "$1" --resume "${@:3}" 2>err
  one_line err
  grep -qF -- "$1/checkpoint-000002/trainer_state.json: --$2: the result would differ; " err ||
    fail "${*:3}: wanted '--$2', got: $(cat err)"
  diff -r "$1" before
  rm -r before
}
on=(--adapter=first --validation=other.nbp)
refused out "model is not the one of the first run" "${on[@]}" --model=twin
refused out "model is not the one of the first run" "${on[@]}" --model=nf4
refused out "adapter is not the one of the first run" --adapter=second --validation=other.nbp
refused out "adapter was given in the first run" --validation=other.nbp
refused out "validation is not the one of the first run" --adapter=first --validation=train.nbp
refused out "validation was given in the first run" --adapter=first
refused out "data is not the one of the first run" "${on[@]}" --data=other.nbp
refused plain "adapter was not given in the first run" --adapter=first
refused plain 'method was "lora" and is "full" now' --method=full
refused plain 'bias was "none" and is "all" now' --bias=all
refused plain 'init-lora-weights was "default" and is "gaussian" now' --init-lora-weights=gaussian
refused plain 'rank was 16 and is 8 now' --rank=8
refused plain 'seed was 0 and is 5 now' --seed=5
refused plain 'optimizer was "adamw" and is "sgd" now' --optimizer=sgd
refused plain 'neftune was 0.0 and is 5.0 now' --neftune=5

# Where the base lies does not matter, nor what does not decide bits; other threads are said.
mv model elsewhere
mv first moved
options=("${options[@]/--model=model/--model=elsewhere}")
nibble-train "${options[@]}" -o out --resume --adapter=moved --validation=other.nbp --recompute=layer --keep=1
cmp whole out/adapter_model.safetensors
nibble-train "${options[@]/-q/--progress=never}" --threads=2 -o plain --resume 2>said
grep -q "it was made by 1 threads on .*, this run has 2 on .*: last digits may differ" said || fail "$(cat said)"

# So is another device, where the checkpoint tells it; older ones do not. On a CPU --deterministic
# changes nothing.
rm -r plain/checkpoint-000004 plain/adapter*
cp -r plain older
sed -i '/^ *"device": "cpu",\?$/d' older/checkpoint-000002/trainer_state.json
! cmp -s {plain,older}/checkpoint-000002/trainer_state.json || fail "no device in $(cat plain/*/trainer_state.json)"
sed -i 's/"device": "cpu"/"device": "cuda"/' plain/checkpoint-000002/trainer_state.json
nibble-train "${options[@]/-q/--progress=never}" -o plain --resume 2>said
grep -q "it was made on cuda, this run computes on cpu: last digits may differ" said || fail "$(cat said)"
nibble-train "${options[@]/-q/--progress=never}" -o older --resume --deterministic 2>said
! grep -q "may differ" said || fail "$(cat said)"
cmp {plain,older}/adapter_model.safetensors
