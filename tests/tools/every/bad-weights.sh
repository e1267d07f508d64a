# Safetensors that are truncated, empty or lie about header, offsets, types or shapes, and folders
# with a shard missing: whatever reads weights names file and fault in one line, and writes nothing.
. "$CASES/../commands.sh"
case $TOOL in nibble-format | nibble-tokenize | nibble-pack | nibble-init | nibble-plot | nibble-filter | nibble-fit)
  exit 0 ;; esac # read none
prepare
nibble-import -q model -o sharded --max-shard-size=100kB
mkdir out

le64() { # le64 NUMBER: its eight bytes
  local n=$1 i
  for ((i = 0; i < 8; ++i)); do printf "\\x$(printf %02x $((n >> 8 * i & 255)))"; done
}
header_bytes() { od -An -tu8 -N8 "$1" | tr -d ' '; }
# with_header FILE TEXT: the file's tensors under another header.
with_header() {
  local rest=$((8 + $(header_bytes "$1")))
  { le64 ${#2}; printf %s "$2"; tail -c +$((rest + 1)) "$1"; } >changed
  mv changed "$1"
}
# edited FILE SED...: its header changed so.
edited() {
  local header
  header=$(head -c $((8 + $(header_bytes "$1"))) "$1" | tail -c +9)
  with_header "$1" "$(sed -E "${@:2}" <<<"$header")"
}
cut() { truncate -s "$2" "$1"; }

# refused CODES TEXT FILE ACTION...: the folder of FILE, after ACTION FILE ...
refused() {
  local codes=$1 text=$2 file=$3 got
  rm -rf bad
  cp -r ${file%%/*} bad
  "$4" bad/"${file#*/}" "${@:5}"
  while read -r kind name command; do
    [ "$kind$name" = foldermodel ] || continue
    got=0
    ${command//@/bad} >stdout 2>err || got=$?
    case " $codes " in *" $got "*) ;; *) fail "${*:3}: $command: exit code $got: $(cat err)" ;; esac
    [ ! -s stdout ] || fail "${*:3}: $command wrote $(head -3 stdout)"
    one_line err
    grep -q "^$TOOL: bad" err && grep -qF -- "$text" err || fail "${*:3}: wanted $text, got: $(cat err)"
    empty_folder out
  done < <(inputs)
}

w=model/model.safetensors
size=$(stat -c %s $w)
refused 65 "model.safetensors: shorter than a safetensors header" $w cut 0
refused 65 "model.safetensors: shorter than a safetensors header" $w cut 7
refused 65 "model.safetensors: a header of " $w cut 8
refused 65 "model.safetensors: a header of " $w cut 200
refused 65 "lie outside the file's " $w cut $((8 + $(header_bytes $w)))
refused 65 "lie outside the file's " $w cut $((size - 1))
overlong() { { le64 $2; tail -c +9 "$1"; } >changed; mv changed "$1"; }
for length in $((size - 7)) 100000001 9223372036854775807 -1; do
  refused 65 "model.safetensors: a header of " $w overlong $length
done
refused 65 "model.safetensors: " $w overlong 0
refused 65 "model.safetensors: " $w overlong 100
refused 65 "model.safetensors: " $w with_header '[1, 2]'
refused 65 "model.safetensors: " $w with_header '{"x": '
refused 65 "model.safetensors: " $w with_header "$(printf '[%.0s' $(seq 5000))"
q=model.layers.0.self_attn.q_proj.weight
refused 65 'q_proj.weight": dtype Q99 is not supported' $w edited "s/(\"$q\": *\{\"dtype\": *\")F32/\1Q99/"
refused "65 69" 'q_proj.weight' $w edited "s/(\"$q\": *\{\"dtype\": *\")F32/\1I32/"
refused 65 'q_proj.weight": its shape and dtype do not fit its ' $w edited "s/(\"$q\": *\{\"dtype\": *\")F32/\1I64/"
refused 65 'q_proj.weight": its shape and dtype do not fit its ' $w edited "s/(\"$q\".[^}]*\"shape\": *\[)64, *64/\164, 63/"
refused 65 'q_proj.weight' $w edited "s/(\"$q\".[^}]*\"shape\": *\[)64, *64/\132, 128/"
refused 65 'q_proj.weight": its shape and dtype do not fit its ' $w edited "s/(\"$q\".[^}]*\"shape\": *\[)64, *64/\14294967296, 4294967296/"
refused 65 'q_proj.weight": ' $w edited "s/(\"$q\".[^}]*\"shape\": *\[)64, *64/\1-64, -64/"
refused 65 'q_proj.weight": ' $w edited "s/(\"$q\".[^}]*\"shape\": *\[)64, *64/\164.5, 64/"
refused 65 'q_proj.weight": bytes ' $w edited "s/(\"$q\".[^}]*\"data_offsets\": *\[)[0-9]+/\1999999999/"
refused 65 'q_proj.weight": ' $w edited "s/(\"$q\".[^}]*\"data_offsets\": *\[)[0-9]+/\1-4/"
refused 65 'q_proj.weight": ' $w edited "s/(\"$q\".[^}]*\"data_offsets\": *\[)[0-9]+, *[0-9]+/\10/"
refused 65 ' overlaps "' $w edited "s/(\"$q\".[^}]*\"data_offsets\": *\[)[0-9]+, *[0-9]+/\10, 16384/"
refused 65 'stored twice' $w edited "s/\"model.layers.1.self_attn.q_proj.weight\"/\"$q\"/"
refused 65 "no tensor \"$q\"" $w edited "s/\"$q\"/\"a.weight\"/"

i=sharded/model.safetensors.index.json
gone() { rm "$1"; }
text() { printf %s "$2" >"$1"; }
shard=$(ls sharded | sed -n '/00002-of/p')
refused 66 "$shard: this shard, named by the index, is missing" sharded/$shard gone
refused 65 "$shard" sharded/$shard cut 100
refused 65 "$shard: no tensor " sharded/$shard with_header '{}'
refused 66 "no model.safetensors and no model.safetensors.index.json" $i gone
refused 65 "index.json" $i cut 0
refused 65 "index.json" $i cut 100
refused 65 "index.json" $i text '{"weight_map": [1]}'
refused 65 "index.json" $i text '{"weight_map": {"a": 1}}'
refused 65 "index.json: shard \"../model/model.safetensors\" lies outside the folder" $i text '{"weight_map": {"a": "../model/model.safetensors"}}'
