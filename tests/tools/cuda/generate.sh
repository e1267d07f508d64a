# Completions and perplexity on the GPU: the CPU's, greedy or drawn, in fp32, with an adapter,
# in batches that fill up and empty, with CUDA graphs and without.
on_cuda
tiny_data 40 64
nibble-quantize -q model -o nf4
nibble-train -q --threads=1 --model=nf4 --data=train.nbp --steps=8 --learning-rate=0.01 --compute=f32 \
  -o adapter
awk 'BEGIN { for (i = 0; i < 7; ++i) print "{\"prompt\":\"item " i * 13 " costs" (i % 2 ? " 5 and" : "") "\"}" }' >prompts.jsonl
on="-q --threads=1 --model=nf4 --adapter=adapter --compute=f32"
for head in keep int8 nf4; do
  generate="nibble-generate $on --head=$head --raw --max-tokens=6 --batch-size=3 prompts.jsonl"
  $generate >cpu.jsonl
  $generate --device=cuda >gpu.jsonl
  cmp cpu.jsonl gpu.jsonl
done
$generate --device=cuda --no-graphs >plain.jsonl
cmp gpu.jsonl plain.jsonl
sampled="$generate --temperature=0.9 --top-k=30 --top-p=0.9 --min-p=0.01 --repetition-penalty=1.2 --seed=5"
$sampled >cpu.jsonl
$sampled --device=cuda >gpu.jsonl
cmp cpu.jsonl gpu.jsonl
nibble-generate $on --compute=bf16 --device=cuda --raw --max-tokens=4 prompts.jsonl >bf16.jsonl
[ "$(wc -l <bf16.jsonl)" = 7 ] || fail "not every prompt was completed in bf16"

value() { "$@" --json | grep -o '"perplexity": *[0-9.]*' | tail -1 | tr -dc '0-9.'; }
measure="nibble-eval $on --perplexity=text.txt --length=32"
cpu=$(value $measure) gpu=$(value $measure --device=cuda)
awk -v a="$cpu" -v b="$gpu" 'BEGIN { d = a - b; exit !(a > 1 && d < 1e-4 * a && d > -1e-4 * a) }' ||
  fail "perplexity $cpu and $gpu"
