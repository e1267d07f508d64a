# SPDX-License-Identifier: Apache-2.0
# --head reads the head in fewer bits, as a folder does whose head alone is quantised so.
tiny_data
others=embed_tokens,q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj
measure() { nibble-eval -q --perplexity=text.txt --length=64 "$@"; }
measure --model=model >keep.txt
for type in int8 nf4; do
  nibble-quantize -q model --type=$type --skip=$others -o $type
  nibble-inspect $type --json | grep -q 'lm_head' || fail "no head in $type"
  measure --model=model --head=$type >$type.txt
  measure --model=$type | cmp - $type.txt
  if cmp -s keep.txt $type.txt; then fail "--head=$type changed nothing"; fi
  nibble-generate -q --model=model --head=$type --raw --prompt="item 3" --max-tokens=9 --temperature=0 >one.txt
  nibble-generate -q --model=$type --raw --prompt="item 3" --max-tokens=9 --temperature=0 | cmp - one.txt
done
expect 64 measure --model=int8 --head=nf4 2>fault.txt
one_line fault.txt
