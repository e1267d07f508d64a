# Every fault is one line that names the place, with its exit code, and nothing on standard output.
tiny_data 4
fault() {  # fault CODE TEXT ARGUMENT...
  local want=$1 text=$2
  shift 2
  expect "$want" nibble-fit "$@" >out 2>err
  [ ! -s out ] || fail "wrote $(cat out): $*"
  one_line err
  grep -qF -- "$text" err || fail "wanted '$text', got: $(cat err)"
}

# Questions.
fault 64 "give one of MODEL"
fault 64 "give one of MODEL" model --params=7B
for value in -1 0 x 7X 1e999 ""; do fault 64 "--params" --params="$value"; done
fault 64 "1M to 10T" --params=1e15
fault 64 "1M to 10T" --params=1000T
for option in batch-size rank length accumulate context; do
  for value in 0 -1 1.5 x 99999999999999999999; do fault 64 "--$option" model --$option=$value; done
done
fault 64 "--batch-size=65536 of 65536 tokens each" --params=7B --batch-size=65536 --length=65536
fault 64 "--length=4096: the model's context is 2048" model --length=4096
fault 64 "--memory-limit" model --memory-limit=-1GiB
fault 64 "--memory-limit" model --memory-limit=lots
for value in -1GiB lots 1e400 ""; do fault 64 "--host-memory" --params=7B --gpu=l4 --host-memory=$value; done
fault 64 "--gpu" model --gpu=voodoo2
fault 64 "--gpu" model --gpu=
for device in gpu cuda: cuda:x cuda:-1 ""; do fault 64 "--device" model --length=64 --device=$device; done
fault 64 "which of these is meant" model --gpu=a100
fault 64 "--find" model --find=luck
fault 64 "--length" model --seq-length=5
fault 64 "no_such_module" model --targets=no_such_module --length=64
fault 64 "a file of .svg or .png" model --length=64 --plot=x.gif
if nibble-fit model --device=cuda --length=64 >out 2>err; then :; else
  [ $? = 69 ] && one_line err && grep -q -- "--device=cuda: no NVIDIA driver" err || fail "$(cat err)"
fi

# Models.
fault 66 "absent" absent
fault 66 "no config.json" .
change() { sed "$1" model/config.json >changed.json; }
change 's/"hidden_size": *[0-9]*,//'
fault 65 'changed.json: no "hidden_size"' changed.json
change 's/"model_type": *"llama"/"model_type": "mamba"/'
fault 69 'changed.json: model family "mamba" is not supported' changed.json
for value in 0 -64 1e30 '"wide"' null; do
  change "s/\"hidden_size\": *[0-9]*/\"hidden_size\": $value/"
  fault 65 '"hidden_size"' changed.json
done
change 's/"hidden_size": *[0-9]*/"hidden_size": 16777216/; s/"intermediate_size": *[0-9]*/"intermediate_size": 16777216/; s/"num_hidden_layers": *[0-9]*/"num_hidden_layers": 2/'
fault 65 "changed.json: 1.7e+15 parameters, more than any machine holds" changed.json
echo '{' >changed.json
fault 65 "changed.json" changed.json
head -c 100 /dev/urandom | tr -d '\n{' >changed.json
fault 65 "changed.json" changed.json
printf 'GGUF\003\0\0\0' >cut.gguf
fault 65 "cut.gguf" cut.gguf
nibble-quantize -q model -o nf4
fault 69 "is quantised; --method=full trains dense models" nf4 --method=full --length=64
fault 65 "text.txt: is no packed shard" model --data=text.txt

# Catalogues.
fault 66 "absent.csv" model --length=64 --gpus=absent.csv
echo "name,memory" >bad.csv
fault 65 "bad.csv:1: the header has no column" model --length=64 --gpus=bad.csv
