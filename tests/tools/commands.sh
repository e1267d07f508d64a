# SPDX-License-Identifier: Apache-2.0
# What the cases that run for every tool share: inputs of every kind, and a list of all that each
# tool writes.

# prepare: the inputs that outputs() names.
prepare() {
  tiny_data 40 64
  awk 'BEGIN { for (i = 0; i < 400; ++i)
    print "{\"prompt\":\"item " i " costs\",\"completion\":\"" i * 7 % 31 " and weighs " i * 3 % 17 "\"}" }' >records.jsonl
  nibble-format -q records.jsonl -o segments.jsonl
  nibble-tokenize -q --model=model segments.jsonl -o rows.jsonl
  awk 'BEGIN { for (i = 0; i < 300; ++i) print "{\"prompt\":\"item " i "\"}" }' >prompts.jsonl
  case $TOOL in
    nibble-export | nibble-generate | nibble-eval | nibble-merge | nibble-train | nibble-inspect)
      nibble-train -q --threads=1 --model=model --data=train.nbp --steps=1 -o adapter ;;
    nibble-import) nibble-export -q model -o model.gguf --type=f32 ;;
    nibble-plot)
      awk 'BEGIN { for (i = 1; i <= 90; ++i)
        print "{\"step\": " i ", \"loss\": " 5 / i ", \"peak_rss\": " 1000000 + i * 1000 "}" }' >metrics.jsonl ;;
  esac
  nibble-quantize -q model -o nf4
}

# outputs: a line for each thing that $TOOL can write, TARGET COMMAND...: TARGET is "-" for standard
# output, else what appears in $DISK, a folder where it ends in a slash.
outputs() {
  local on="-q --threads=1 --model=model"
  case $TOOL in
    nibble-format) cat <<END
- nibble-format -q records.jsonl
- nibble-format -q --threads=2 records.jsonl -o -
segments.jsonl nibble-format -q records.jsonl -o $DISK/segments.jsonl
segments.zst nibble-format -q records.jsonl -o $DISK/segments.zst
END
      ;;
    nibble-split) cat <<END
- nibble-split -q --threads=2 records.jsonl --test=/dev/null
test nibble-split -q records.jsonl --test=$DISK/test -o made
valid.zst nibble-split -q records.jsonl --validation=$DISK/valid.zst -o made
train.jsonl nibble-split -q records.jsonl --test=made -o $DISK/train.jsonl
END
      ;;
    nibble-dedup) cat <<END
- nibble-dedup -q --threads=2 records.jsonl
clean.jsonl nibble-dedup -q records.jsonl --near -o $DISK/clean.jsonl
removed.zst nibble-dedup -q records.jsonl --novelty=0.5 --removed=$DISK/removed.zst -o made
END
      ;;
    nibble-filter) cat <<END
- nibble-filter -q --threads=2 records.jsonl --where=prompt
kept.jsonl nibble-filter -q records.jsonl --min-words=1 -o $DISK/kept.jsonl
removed.zst nibble-filter -q records.jsonl --max-words=1 --removed=$DISK/removed.zst -o made
END
      ;;
    nibble-mix) cat <<END
- nibble-mix -q --threads=2 records.jsonl prompts.jsonl
mix.jsonl nibble-mix -q records.jsonl prompts.jsonl -o $DISK/mix.jsonl
mix.zst nibble-mix -q records.jsonl --weights=1 -o $DISK/mix.zst
END
      ;;
    nibble-tokenize) cat <<END
- nibble-tokenize $on segments.jsonl
- nibble-tokenize $on --decode rows.jsonl
rows.jsonl nibble-tokenize $on segments.jsonl -o $DISK/rows.jsonl
rows.jsonl.zst nibble-tokenize $on segments.jsonl -o $DISK/rows.jsonl.zst
text nibble-tokenize $on --decode --text rows.jsonl -o $DISK/text
END
      ;;
    nibble-pack) cat <<END
- nibble-pack $on --length=64 rows.jsonl -o -
train.nbp nibble-pack $on --length=64 rows.jsonl -o $DISK/train.nbp
shuffled.nbp nibble-pack $on --length=64 --shuffle rows.jsonl -o $DISK/shuffled.nbp
END
      ;;
    nibble-init) cat <<END
model/ nibble-init -q --threads=1 --tokenizer=model --layers=2 --hidden-size=64 --heads=4 -o $DISK/model
trained/ nibble-init -q --threads=1 --corpus=text.txt --vocab-size=290 --layers=1 --hidden-size=32 -o $DISK/trained
END
      ;;
    nibble-import) cat <<END
model/ nibble-import -q model -o $DISK/model
shards/ nibble-import -q model -o $DISK/shards --dtype=bf16 --max-shard-size=50kB
gguf/ nibble-import -q model.gguf -o $DISK/gguf
END
      ;;
    nibble-quantize) cat <<END
nf4/ nibble-quantize -q --threads=1 model -o $DISK/nf4
shards/ nibble-quantize -q --threads=1 model -o $DISK/shards --type=int8 --max-shard-size=30kB
- nibble-quantize -q --threads=1 model -o made --report
- nibble-quantize -q --threads=1 model -o made --report --json
END
      ;;
    nibble-export) cat <<END
model.gguf nibble-export -q model -o $DISK/model.gguf
small.gguf nibble-export -q model -o $DISK/small.gguf --type=q8_0
adapter.gguf nibble-export -q model --adapter=adapter -o $DISK/adapter.gguf
folder/ nibble-export -q nf4 -o $DISK/folder --max-shard-size=100kB
END
      ;;
    nibble-train) cat <<END
lora/ nibble-train $on --data=train.nbp --steps=6 --save-every=2 --keep=1 -o $DISK/lora
full/ nibble-train $on --data=train.nbp --steps=2 --method=full -o $DISK/full
tokens/ nibble-train $on --data=train.nbp --steps=2 --modules-to-save=embed_tokens -o $DISK/tokens
metrics nibble-train $on --data=train.nbp --steps=25 --rank=1 -o made --metrics=$DISK/metrics
END
      ;;
    nibble-merge) cat <<END
dense/ nibble-merge $on --adapter=adapter -o $DISK/dense
nf4/ nibble-merge $on --adapter=adapter --type=nf4 -o $DISK/nf4
END
      ;;
    nibble-generate) cat <<END
- nibble-generate $on --max-tokens=1 prompts.jsonl
- nibble-generate $on --max-tokens=9 --prompt=item
- nibble-generate $on --max-tokens=1 --chat
done.jsonl nibble-generate $on --max-tokens=1 prompts.jsonl -o $DISK/done.jsonl
done.zst nibble-generate $on --max-tokens=1 --adapter=adapter prompts.jsonl -o $DISK/done.zst
END
      ;;
    nibble-eval) cat <<END
- nibble-eval $on --perplexity=text.txt
- nibble-eval $on --data=train.nbp --json
report nibble-eval $on --data=train.nbp --adapter=adapter -o $DISK/report
log nibble-eval $on --perplexity=text.txt --log=$DISK/log -o report
trace nibble-eval $on --data=train.nbp -o report --profile=$DISK/trace
END
      ;;
    nibble-fit) cat <<END
- nibble-fit -q model --length=64 --memory-limit=1GiB
- nibble-fit -q model --length=64 --memory-limit=1GiB --json
- nibble-fit -q --list-gpus
fit.svg nibble-fit -q model --length=64 --plot=$DISK/fit.svg
END
      ;;
    nibble-score) cat <<END
- nibble-score -q --threads=1 --metric=rouge,bleu --references=records.jsonl records.jsonl
- nibble-score -q --threads=1 --metric=length records.jsonl --json
scores nibble-score -q --threads=1 --metric=chrf --references=records.jsonl records.jsonl -o $DISK/scores
each.jsonl nibble-score -q --threads=1 --metric=length records.jsonl -o made --each=$DISK/each.jsonl
END
      ;;
    nibble-inspect) cat <<END
- nibble-inspect model
- nibble-inspect --json nf4
- nibble-inspect --stats model/model.safetensors
- nibble-inspect --verify train.nbp rows.jsonl
- nibble-inspect --show=model.norm.weight model
- nibble-inspect --show=2 --model=model train.nbp
- nibble-inspect --show=2 --json train.nbp
- nibble-inspect --stats --model=model train.nbp
END
      ;;
    nibble-plot) cat <<END
- nibble-plot -q metrics.jsonl
- nibble-plot -q metrics.jsonl --to=table
- nibble-plot -q metrics.jsonl --to=svg
curves.svg nibble-plot -q metrics.jsonl -o $DISK/curves.svg
curves.png nibble-plot -q metrics.jsonl -o $DISK/curves.png
report.html nibble-plot -q metrics.jsonl -o $DISK/report.html
events/ nibble-plot -q metrics.jsonl --to=tensorboard -o $DISK/events
END
      ;;
    *) fail "$TOOL: its outputs are not listed" ;;
  esac
}

# inputs: a line for each thing that $TOOL reads, KIND NAME COMMAND...: the command reads NAME, which
# prepare() has made, in the place of @, and writes only below out/. KIND: lines, a stream that may
# be a pipe and may be empty; file, one that is mapped; folder.
inputs() {
  local on="-q --threads=1"
  case $TOOL in
    nibble-format) cat <<END
lines records.jsonl nibble-format -q @ -o out/x
folder model nibble-format -q records.jsonl --template=@ -o out/x
END
      ;;
    nibble-split) echo "lines records.jsonl nibble-split -q @ --test=/dev/null -o out/x" ;;
    nibble-dedup) cat <<END
lines records.jsonl nibble-dedup -q --near @ -o out/x
lines records.jsonl nibble-dedup -q --against=@ records.jsonl -o out/x
lines records.jsonl nibble-dedup -q --known=@ prompts.jsonl -o out/x
END
      ;;
    nibble-filter) cat <<END
lines records.jsonl nibble-filter -q --where=prompt @ -o out/x
folder model nibble-filter -q records.jsonl --max-tokens=99 --model=@ -o out/x
END
      ;;
    nibble-mix) echo "lines records.jsonl nibble-mix -q --weights=1 @ -o out/x" ;;
    nibble-tokenize) cat <<END
lines segments.jsonl nibble-tokenize $on --model=model @ -o out/x
folder model nibble-tokenize $on --model=@ segments.jsonl -o out/x
file model/tokenizer.json nibble-tokenize $on --model=@ segments.jsonl -o out/x
END
      ;;
    nibble-pack) cat <<END
lines rows.jsonl nibble-pack $on --length=64 --model=model @ -o out/x
folder model nibble-pack $on --length=64 --model=@ rows.jsonl -o out/x
END
      ;;
    nibble-init) cat <<END
lines text.txt nibble-init $on --corpus=@ --vocab-size=290 --layers=1 --hidden-size=32 -o out/x
file model/config.json nibble-init $on --config-json=@ -o out/x
folder model nibble-init $on --tokenizer=@ --layers=1 --hidden-size=32 -o out/x
END
      ;;
    nibble-import) cat <<END
file model.gguf nibble-import -q @ -o out/x
folder model nibble-import -q @ -o out/x
END
      ;;
    nibble-quantize) echo "folder model nibble-quantize $on @ -o out/x" ;;
    nibble-export) cat <<END
folder model nibble-export -q @ -o out/x
folder adapter nibble-export -q model --adapter=@ -o out/x.gguf
END
      ;;
    nibble-train) cat <<END
folder model nibble-train $on --model=@ --data=train.nbp --steps=1 -o out/x
folder adapter nibble-train $on --model=model --data=train.nbp --adapter=@ --steps=1 -o out/x
file train.nbp nibble-train $on --model=model --data=@ --steps=1 -o out/x
file train.nbp nibble-train $on --model=model --data=train.nbp --validation=@ --steps=1 -o out/x
END
      ;;
    nibble-merge) cat <<END
folder model nibble-merge $on --model=@ --adapter=adapter -o out/x
folder adapter nibble-merge $on --model=model --adapter=@ -o out/x
END
      ;;
    nibble-generate) cat <<END
folder model nibble-generate $on --model=@ --max-tokens=1 prompts.jsonl -o out/x
folder adapter nibble-generate $on --model=model --adapter=@ --max-tokens=1 prompts.jsonl -o out/x
lines prompts.jsonl nibble-generate $on --model=model --max-tokens=1 @ -o out/x
END
      ;;
    nibble-eval) cat <<END
folder model nibble-eval $on --model=@ --data=train.nbp -o out/x
folder adapter nibble-eval $on --model=model --adapter=@ --data=train.nbp -o out/x
file train.nbp nibble-eval $on --model=model --data=@ -o out/x
file text.txt nibble-eval $on --model=model --perplexity=@ -o out/x
END
      ;;
    nibble-score) cat <<END
lines records.jsonl nibble-score $on --metric=length @ -o out/x
lines records.jsonl nibble-score $on --metric=bleu --references=@ records.jsonl -o out/x
END
      ;;
    nibble-fit) cat <<END
folder model nibble-fit -q @ --length=64
file model/config.json nibble-fit -q @ --length=64
file train.nbp nibble-fit -q model --data=@
END
      ;;
    nibble-inspect) cat <<END
folder model nibble-inspect @
folder adapter nibble-inspect @
file model/model.safetensors nibble-inspect @
file train.nbp nibble-inspect @
END
      ;;
    nibble-plot) cat <<END
lines metrics.jsonl nibble-plot -q @ --title=run -o out/x --to=svg
END
      ;;
    *) fail "$TOOL: its inputs are not listed" ;;
  esac
}

# What stands before a command that must run without rights, where the tests run as root. Tools must
# be reachable then: copy them here.
nobody=()
[ "$(id -u)" != 0 ] || nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
