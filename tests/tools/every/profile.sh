# --profile names what the tool does, with the bytes that its phases go through, leaves what it
# writes as it is, says nothing more with -q, and never takes the place of an input or of another
# output.
if ! $TOOL --help | grep -q -- ' --profile='; then
  case $TOOL in
    nibble-fit | nibble-inspect | nibble-plot) exit 0 ;;
    *) fail "$TOOL has no --profile, which README.md says it has" ;;
  esac
fi
DISK=disk
. "$CASES/../commands.sh"
prepare >/dev/null
mkdir disk out

# Every phase of what is run here, _ for a space; = after those that tell their bytes.
spans() {
  case $TOOL in
    nibble-format) echo read= find_records= render= use_in_order= write= sync ;;
    nibble-tokenize) echo load_tokenizer read= find_records= encode= write= sync ;;
    nibble-pack) echo load_tokenizer read= find_records= parse= gather= pack= compress= write= sync ;;
    nibble-split) echo read= find_records= parse_and_hash= share_out= write= sync ;;
    nibble-filter) echo read= find_records= parse_and_judge= sort_out= write= sync ;;
    nibble-dedup) echo read= find_records= parse,_hash_and_sketch= compare= write= sync ;;
    nibble-mix) echo read= find_records= parse= draw= write= sync ;;
    nibble-init) echo copy_tokenizer copy_files make_weights draw= convert= write= sync ;;
    nibble-import) echo copy_files convert= write= sync ;;
    nibble-export) echo read_vocabulary convert= write= sync ;;
    nibble-merge) echo load_model load_adapter copy_files merge_weights= cast= matmul= convert= write= sync ;;
    nibble-score) echo read= parse score= write= sync ;;
    nibble-quantize) echo quantize_tensors= write= sync ;;
    nibble-train) echo load_model read_rows forward backward adamw= checkpoint write= sync ;;
    nibble-generate) echo load_model read= prompts choose_token write= sync ;;
    nibble-eval) echo load_model forward head_and_loss write= sync ;;
    *) fail "$TOOL: what it does is not listed" ;;
  esac
}
plain=$(outputs | grep -v '^-' | head -1)
read -r target command <<<"$plain"
$command
mv "disk/${target%/}" plain
$command --profile=trace.json 2>said
[ ! -s said ] || fail "with -q: $(cat said)"
# A run's metrics tell the time.
diff -r -x metrics.jsonl plain "disk/${target%/}"
rm -r "disk/${target%/}"
${command/ -q/ --progress=never} --profile=told.json 2>said
sed -n '/profile of/,/outside all of these$/p' said >table
[ -s table ] || fail "no table: $(cat said)"
for span in $(spans); do
  name=${span%=}
  name=${name//_/ }
  for trace in trace told; do
    grep -qE "\"name\":\"(${name// /[ _]})\"" $trace.json ||
      fail "no $name among $(grep -o '"name":"[^"]*"' $trace.json | sort -u | tr '\n' ' ')"
  done
  line=$(grep -E "  ${name// /[ _]}\$" table) || fail "no $name in the table: $(cat table)"
  # GB/s stand in columns 44 to 54.
  [[ $span != *= ]] || [[ ${line:43:11} == *[0-9].[0-9]* ]] || fail "no bytes: $line"
done
rm -r plain disk
if [ $TOOL = nibble-format ]; then
  nibble-mix -q records.jsonl -o records.zst
  nibble-format -q records.zst -o segments.zst --profile=trace.json
  for span in compress decompress; do
    grep -q "\"name\":\"$span\"" trace.json || fail "no $span of zstd"
  done
fi

# inputs() writes below out/.
while read -r kind name command; do
  [ "$kind" != folder ] || continue
  cp "$name" before
  expect 64 ${command//@/$name} --profile="./$name" 2>err
  one_line err
  grep -qF "$name: named twice; give --profile a file of its own" err || fail "$(cat err)"
  cmp "$name" before
  empty_folder out
done < <(inputs | grep -v ' model/tokenizer.json ')

mkdir disk
while read -r target command; do
  case $target in - | trace) continue ;; esac
  rm -rf made
  expect 64 $command --profile="disk/../disk/${target%/}" 2>err
  one_line err
  grep -qF "named twice; give --profile a file of its own" err || fail "$(cat err)"
  empty_folder disk
  [ ! -e made ] || fail "$command has begun"
done < <(outputs)
