# A corpus becomes a vocabulary and a model; the same options make the same bytes, whatever the
# number of threads, and the seed changes the weights.
awk 'BEGIN { for (i = 0; i < 500; ++i) print "Person", i, "lives in town", i * 7 % 31, "with", i % 5, "cats." }' >corpus.txt
make() { nibble-init --corpus=corpus.txt --vocab-size=300 --layers=2 --hidden-size=32 --heads=4 --kv-heads=2 "$@"; }
make -q -o one --threads=1 2>err
[ ! -s err ] || fail "--quiet wrote: $(cat err)"
make -q -o two --threads=2
diff -r one two
make -q -o three --seed=5
cmp -s one/model.safetensors three/model.safetensors && fail "another seed drew the same weights"
ls one
grep -E '"(vocab_size|bos_token_id|eos_token_id|dtype)"' one/config.json
make -q -o packed --dtype=bf16 --tied
grep -E '"(dtype|tie_word_embeddings)"' packed/config.json
nibble-init -q --tokenizer=one --config-json=one/config.json -o copy
cmp one/model.safetensors copy/model.safetensors
cmp one/tokenizer.model copy/tokenizer.model
nibble-init -q --tokenizer=one/tokenizer.model --vocab-size=320 --layers=1 --hidden-size=32 -o padded
grep '"vocab_size"' padded/config.json
zstd -q corpus.txt
nibble-init -q --corpus=corpus.txt.zst --vocab-size=300 --layers=1 --hidden-size=32 -o compressed
cmp one/tokenizer.model compressed/tokenizer.model
