# Threads that a limit does not allow are refused before anything is written; so many as it does are
# enough, and who does not compute needs none.
. "$CASES/../commands.sh"
unset OMP_NUM_THREADS OMP_THREAD_LIMIT
cp "$(command -v nibble-tokenize)" "$(command -v nibble-inspect)" .
cp -r "$tiny_model" model
"${nobody[@]}" ./nibble-tokenize --version >version || { echo "may not run as nobody (setpriv)" >&2; exit 77; }
limited() { # limited LIMIT COMMAND...: without rights, and with so many processes
  "${nobody[@]}" prlimit --nproc="$1:$1" "${@:2}"
}
echo text >text.txt
expect 71 limited 3 ./nibble-tokenize --threads=8 --text --model=model text.txt >out 2>err
one_line err
grep -q "^nibble-tokenize: cannot start 8 threads: .*; ask for fewer (--threads=N)" err || fail "$(cat err)"
[ ! -s out ]
nibble-tokenize -q --threads=1 --text --model=model text.txt >want
limited 1 ./nibble-tokenize -q --threads=1 --text --model=model text.txt >out.jsonl
cmp out.jsonl want
OMP_NUM_THREADS=8 limited 1 ./nibble-inspect out.jsonl >inspected
[ -s inspected ]
