# The table, its details, JSON, examples and intervals.
printf 'the cat sat on the mat\nit is cold\n' >out.txt
printf 'the cat sat on a mat\nit is very cold\n' >refs.txt
printf 'the cat sat on a mat\nit was cold\n' >other.txt
nibble-score -q --metric=rouge:types=1,bleu,bleu:order=2,distinct:order=1 --references=refs.txt out.txt
nibble-score -q -v --metric=bleu:order=1 --references=refs.txt out.txt 2>err
nibble-score -q --metric=ter,chrf --references=refs.txt out.txt --each=each.jsonl -o report
cat each.jsonl
nibble-score -q --metric=ter --references=refs.txt out.txt --against=other.txt --bootstrap --trials=100 --seed=12345
nibble-score -q --metric=rouge:types=1,distinct:order=1 --references=refs.txt out.txt --against=other.txt \
  --test=bootstrap --trials=40 --json
# A score that is not defined is null.
printf '\n' >empty.txt
nibble-score -q --metric=distinct:order=1 empty.txt --json 2>err
