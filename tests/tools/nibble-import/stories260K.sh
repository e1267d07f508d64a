# The three forms of one model become the same weights and the same vocabulary.
need_data
stories=$NIBBLE_DATA/models/stories260K
nibble-import "$stories" -o hf
nibble-import "$stories/stories260K.gguf" -o gguf
nibble-import "$stories/stories260K.bin" -o bin
cmp hf/model.safetensors "$stories/model.safetensors" || nibble-inspect hf --verify
cmp hf/model.safetensors gguf/model.safetensors
cmp hf/model.safetensors bin/model.safetensors
cmp gguf/tokenizer.model bin/tokenizer.model
for form in hf gguf bin; do nibble-inspect $form --verify >/dev/null; done
