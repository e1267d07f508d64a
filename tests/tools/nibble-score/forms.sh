# The same examples in every form give the same figures.
printf 'the cat sat\na dog ran off\n' >out.txt
printf 'the cat sat down\na dog ran away\n' >a.txt
printf 'a cat sat\nthe dog ran off\n' >b.txt
score() { nibble-score -q --metric=bleu,rouge,chrf,ter,mteval "$@"; }
score --references=a.txt,b.txt out.txt >want
grep -q '^bleu ' want
same() { score "$@" | diff want - || fail "$*"; }

# Groups between blank lines; a table matched by its first column, and by order; several files.
printf '\nthe cat sat down\na cat sat\n\n\na dog ran away\nthe dog ran off\n\n' >groups.txt
same --references=groups.txt --reference-layout=groups out.txt
printf 'mr,ref\r\n"x[1], y",the cat sat down\r\n"x[1], y",a cat sat\r\nz,a dog ran away\r\nz,the dog ran off\r\n' >refs.csv
printf 'MR\toutput\nz\ta dog ran off\n"x[1], y"\tthe cat sat\n' >swapped.tsv
same --references=refs.csv swapped.tsv
same --references=refs.csv out.txt
same --references=a.txt --references=b.txt out.txt

# Records: of both, apart, matched by a field; SQuAD's answers; compressed; by a pipe.
printf '%s\n' '{"completion":"the cat sat","references":["the cat sat down","a cat sat"]}' \
  '{"completion":"a dog ran off","references":["a dog ran away","the dog ran off"]}' >both.jsonl
same both.jsonl
same <both.jsonl
zstd -q both.jsonl
same both.jsonl.zst
printf '%s\n' '{"id":7,"refs":["the cat sat down","a cat sat"]}' \
  '{"id":"8","answers":{"text":["a dog ran away","the dog ran off"],"answer_start":[0,0]}}' >refs.jsonl
printf '%s\n' '{"id":8,"prediction":"a dog ran off"}' '{"id":7,"prediction":"the cat sat"}' >by-id.jsonl
same --references=refs.jsonl --match=id by-id.jsonl
printf '%s\n' '{"says":"the cat sat","x":["the cat sat down","a cat sat"]}' \
  '{"says":"a dog ran off","x":["a dog ran away","the dog ran off"]}' >named.jsonl
same --prediction-field=says --reference-field=x named.jsonl
same --prediction-field=says --references=groups.txt --reference-layout=groups named.jsonl

# A file of instructions is one of references, in any form of conversation.
score --references=a.txt out.txt >want
printf '%s\n' '{"messages":[{"role":"user","content":"?"},{"role":"assistant","content":"the cat sat down"}]}' \
  '{"messages":[{"role":"user","content":"?"},{"role":"assistant","content":"a dog ran away"}]}' >chat.jsonl
same --references=chat.jsonl out.txt
printf '%s\n' '{"prompt":"?","completion":"the cat sat down"}' '{"prompt":"?","completion":"a dog ran away"}' >pairs.jsonl
same --references=pairs.jsonl out.txt
# Completions of such records keep the answer that they were asked for, but where they replaced it.
printf '%s\n' '{"messages":[{"role":"user","content":"?"},{"role":"assistant","content":"the cat sat down"}],"completion":"the cat sat"}' \
  '{"instruction":"?","output":"a dog ran away","completion":"a dog ran off"}' >done.jsonl
same done.jsonl
expect 65 nibble-score -q --metric=bleu pairs.jsonl 2>err
grep -q 'no reference' err

# One thread or several, in one pass or with all held (distinct): the same bytes.
awk 'BEGIN { for (i = 0; i < 20000; ++i) print "word", i % 97, "and", i * 31 % 89, "x", i % 7 }' >long.txt
awk 'BEGIN { for (i = 0; i < 20000; ++i) print "word", i % 83, "and", i * 31 % 79, "y", i % 7 }' >long-refs.txt
score --references=long-refs.txt long.txt --json --each=each1 --threads=1 >one
score --references=long-refs.txt long.txt --json --each=each4 --threads=4 >four
cmp one four
cmp each1 each4
[ "$(wc -l <each1)" = 20000 ]
for threads in 1 4; do
  nibble-score -q --metric=bleu --references=long-refs.txt long.txt --bootstrap=50 \
    --against=long-refs.txt --trials=50 --threads=$threads >resampled.$threads
done
cmp resampled.1 resampled.4
streamed=$(nibble-score -q --metric=bleu --references=long-refs.txt long.txt | awk '/^bleu/ { print $2 }')
held=$(nibble-score -q --metric=bleu,distinct --references=long-refs.txt long.txt | awk '/^bleu/ { print $2 }')
[ -n "$held" ] && [ "$held" = "$streamed" ]
