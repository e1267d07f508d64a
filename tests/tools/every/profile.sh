# --profile names what the tool does, leaves what it writes as it is, and never takes the place of an
# input or of another output.
if ! $TOOL --help | grep -q -- ' --profile='; then
  case $TOOL in
    nibble-export | nibble-fit | nibble-import | nibble-inspect | nibble-plot) exit 0 ;;
    *) fail "$TOOL has no --profile, which README.md says it has" ;;
  esac
fi
DISK=disk
. "$CASES/../commands.sh"
prepare >/dev/null
mkdir disk out

spans() {
  case $TOOL in
    nibble-format) echo read render write sync ;;
    nibble-tokenize) echo load_tokenizer encode write sync ;;
    nibble-pack) echo read parse pack write sync ;;
    nibble-split | nibble-filter | nibble-dedup) echo read parse use_in_order write sync ;;
    nibble-mix) echo read parse draw write sync ;;
    nibble-init) echo copy_tokenizer make_weights draw write sync ;;
    nibble-merge) echo merge_weights write sync ;;
    nibble-score) echo read parse score write sync ;;
    nibble-quantize) echo quantize_tensors write sync ;;
    nibble-train) echo read_rows forward backward adamw sync ;;
    nibble-generate) echo prompts choose_token write sync ;;
    nibble-eval) echo forward head_and_loss ;;
    *) fail "$TOOL: what it does is not listed" ;;
  esac
}
plain=$(outputs | grep -v '^-' | head -1)
read -r target command <<<"$plain"
$command
mv "disk/${target%/}" plain
$command --profile=trace.json
[ -d plain ] || cmp plain "disk/$target"
for span in $(spans); do
  grep -q "\"name\":\"${span//_/[_ ]}\"" trace.json ||
    fail "no $span among $(grep -o '"name":"[^"]*"' trace.json | sort -u | tr '\n' ' ')"
done
rm -r plain disk

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
