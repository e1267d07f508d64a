# A shard without rows is no shard.
try() {
  expect 65 nibble-pack --model="$tiny_model" --length=4 -o out.nbp "$@" 2>err
  grep -q 'out.nbp: no example is left to pack; nothing was written$' err
  [ ! -e out.nbp ]
}
try </dev/null
try <<<'{"input_ids":[1,2,3,4,5]}'
grep -q '1 example longer than 4 tokens dropped' err
try <<<'{"input_ids":[],"labels":[]}'
grep -q '1 example without tokens skipped' err
try <<<'{"input_ids":[1,2],"labels":[-100,-100]}'
grep -q '1 example or piece with nothing to train on skipped' err
