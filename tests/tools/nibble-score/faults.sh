# What cannot be scored is refused in one line that names its place, with the exit code of its kind,
# and nothing is written.
printf 'a b c\nd e f\n' >two.txt
printf 'a b c\nd e f\ng h i\n' >three.txt
printf 'a b c\nd \xe9 f\n' >latin1.txt
: >none.txt
mkdir out

# refused CODE TEXT ARGUMENT...: the message holds TEXT.
refused() {
  local code=$1 text=$2
  shift 2
  expect "$code" nibble-score "$@" -o out/x --each=out/each >stdout 2>err
  one_line err
  grep -qF -- "$text" err || fail "nibble-score $*: $(cat err)"
  [ ! -s stdout ] || fail "nibble-score $*: wrote $(cat stdout)"
  empty_folder out
}

printf '{"prompt":"a","completion":"b"}\n{"prompt":"a' >cut.jsonl
refused 65 'cut.jsonl:2: malformed JSON: A string is opened, but never closed' --metric=length cut.jsonl

# Numbers of lines.
refused 65 'two.txt: ends after 2 items, before three.txt does' --metric=bleu --references=two.txt three.txt
refused 65 'two.txt: ends after 2 items, before three.txt does' --metric=bleu --references=three.txt two.txt
refused 65 'three.txt' --metric=bleu --references=two.txt,three.txt two.txt
refused 65 'none.txt: no predictions' --metric=bleu --references=none.txt none.txt

# Encodings.
refused 65 'latin1.txt:2: not UTF-8' --metric=bleu --references=two.txt latin1.txt
refused 65 'latin1.txt:2: not UTF-8' --metric=bleu --references=latin1.txt two.txt

# Records.
echo '{"completion":"a b","references":[]}' >empty.jsonl
refused 65 'empty.jsonl:1: no reference' --metric=bleu empty.jsonl
echo '{"completion":"a b"}' >bare.jsonl
refused 65 'bare.jsonl:1: no reference; give --references=FILE' --metric=rouge bare.jsonl
echo '{"text":"a b","references":["a"]}' >nameless.jsonl
refused 65 'nameless.jsonl:1: no prediction; name its field with --prediction-field' --metric=rouge nameless.jsonl
refused 65 'nameless.jsonl:1: no "answer"' --metric=rouge --prediction-field=answer nameless.jsonl
echo '{"completion":["a","b"],"references":["a"]}' >many.jsonl
refused 65 'many.jsonl:1: "completion" holds 2 texts, not one' --metric=rouge many.jsonl
echo '{"completion":{"a":1},"references":["a"]}' >kind.jsonl
refused 65 'kind.jsonl:1: "completion" has no "text"' --metric=rouge kind.jsonl
echo '{"completion":"a","references":["a",null]}' >null.jsonl
refused 65 'null.jsonl:1: "references" holds null' --metric=rouge null.jsonl
printf '{"completion":"a","references":["a"]}\n{"completion":\n' >cut.jsonl
refused 65 'cut.jsonl:2: malformed JSON' --metric=rouge cut.jsonl
echo '["a"]' >array.jsonl
refused 65 'array.jsonl:1, item 0: not a JSON object' --metric=rouge array.jsonl
printf '{"id":1,"completion":"a"}\n{"id":2,"completion":"b"}\n' >ids.jsonl
printf '{"id":2,"reference":"b"}\n{"id":1,"reference":"a"}\n' >swapped.jsonl
refused 65 'swapped.jsonl:1: the id is "2", but "1" at ids.jsonl:1; match them with --match=id' \
  --metric=rouge --references=swapped.jsonl ids.jsonl
refused 65 '.jsonl:1: no "key" to match by' --metric=rouge --references=swapped.jsonl --match=key ids.jsonl
refused 64 '--match=id: two.txt is of lines' --metric=rouge --references=two.txt --match=id ids.jsonl
refused 64 '--match=id: two.txt has no such field' --metric=rouge --references=ids.jsonl --match=id two.txt
head -1 swapped.jsonl >one.jsonl
refused 65 'ids.jsonl:1: no reference has the id "1"' --metric=rouge --references=one.jsonl --match=id ids.jsonl
head -1 ids.jsonl >first.jsonl
refused 65 'first.jsonl: no prediction for 1 of 2 references, such as "2"' \
  --metric=rouge --references=swapped.jsonl --match=id first.jsonl

# Tables.
printf 'mr,ref\n"a, b",x y\n"a, b",x z\nc,u\n' >refs.csv
printf 'MR\toutput\n"a, b"\tx y\nd\tu\n' >other.tsv
refused 65 'other.tsv:3: no reference has the mr "d"' --metric=rouge --references=refs.csv other.tsv
printf 'MR\toutput\n"a, b"\n' >short.tsv
refused 65 'short.tsv:2: has 1 cell, where the header has 2' --metric=rouge --references=refs.csv short.tsv
printf 'MR\toutput\n"a, b\tx y\n' >quote.tsv
refused 65 'quote.tsv:2: a quote that opens in this row is never closed' --metric=rouge --references=refs.csv quote.tsv
printf 'MR\tsays\n"a, b"\tx y\n' >column.tsv
refused 65 'column.tsv:2: no prediction; name its field with --prediction-field' \
  --metric=rouge --references=refs.csv column.tsv
refused 65 'three.txt:3: refs.csv has references for 2 examples alone' --metric=rouge --references=refs.csv three.txt

# Metrics.
refused 64 'no such metric; there are rouge, bleu' --metric=blue --references=two.txt two.txt
refused 64 'bleu has no option "tokenizer"; it has tokenize' --metric=bleu:tokenizer=13a --references=two.txt two.txt
refused 64 'tokenize is one of 13a, intl, char, none' --metric=bleu:tokenize=zh --references=two.txt two.txt
refused 64 'order=0: outside 1 to 16' --metric=bleu:order=0 --references=two.txt two.txt
refused 64 '--metric=bleu is given twice' --metric=bleu,bleu --references=two.txt two.txt
printf 'c b a\nf e d\n' >swap.txt
refused 65 'two.txt:1: smooth=method6 needs a trigram that matches' \
  --metric=nltk-bleu:smooth=method6 --references=swap.txt two.txt
head -1 two.txt >alone.txt
refused 65 'self-bleu needs two hypotheses' --metric=self-bleu alone.txt

# Records for those who need them.
refused 65 'two.txt:1: a line of text, where a record of JSON is needed' --metric=perplexity two.txt
printf '{"logprobs":[-1]}\n{"logprobs":\n' >torn.jsonl
refused 65 'torn.jsonl:2: malformed JSON' --metric=perplexity torn.jsonl
expect 65 nibble-score --metric=perplexity torn.jsonl 2>err
grep -qF 'torn.jsonl:2: malformed JSON' err || fail "$(cat err)"
printf '{"logprobs":[-1,"x"]}\n' >words.jsonl
refused 65 'words.jsonl:1: expected a number, found text' --metric=perplexity words.jsonl
printf '[1]\n' >list.jsonl
refused 65 'list.jsonl:1, item 0: not a JSON object' --metric=perplexity --prediction-layout=records \
  list.jsonl

# Files.
refused 66 'absent.txt' --metric=bleu --references=absent.txt two.txt
refused 66 'absent.txt' --metric=bleu --references=two.txt absent.txt
refused 64 'standard input can be read once only' --metric=bleu --references=- -
expect 64 nibble-score --metric=bleu --references=two.txt two.txt --each=two.txt 2>err
one_line err
expect 64 nibble-score --metric=length two.txt -o both --each=./both 2>err
grep -qF 'both: named twice' err || fail "$(cat err)"
[ ! -e both ]
expect 64 nibble-score --references=two.txt two.txt 2>err
one_line err
expect 64 nibble-score --metric=bleu --refs=two.txt two.txt 2>err
grep -qF -- '--references' err || fail "$(cat err)"
expect 65 nibble-score --metric=length two.txt --against=three.txt 2>err
grep -qF 'three.txt: 3 predictions, but two.txt has 2' err || fail "$(cat err)"

# Empty texts are sound, and counted.
all=bleu,rouge,chrf++,ter,nltk-bleu,mteval,length
printf '\na b\n' >hollow.txt
nibble-score --metric=$all --references=two.txt hollow.txt >table 2>err
grep -q 'hollow.txt: 1 prediction is empty' err || fail "$(cat err)"
nibble-score --metric=$all --references=hollow.txt two.txt >table 2>err
grep -q 'hollow.txt: 1 reference is empty' err || fail "$(cat err)"
nibble-score --metric=$all,distinct --references=hollow.txt hollow.txt --json >json 2>err
! grep -qi 'nan\|inf' json || fail "$(cat json)"
