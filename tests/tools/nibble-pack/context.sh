# A row longer than the model's context is worth a warning, no more.
echo '{"input_ids":[1,2,3]}' | nibble-pack --model="$tiny_model" --length=513 -o x.nbp
echo '{"input_ids":[1,2,3]}' | nibble-pack --model="$tiny_model" --length=512 -o x.nbp
