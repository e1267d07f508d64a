# Limits that a shell has set: one line that says which, and nothing half written.
awk 'BEGIN { for (i = 0; i < 400; ++i) print "{\"prompt\":\"item " i "\",\"completion\":\"" i "\"}" }' >records.jsonl
mkdir out
limited() { # limited LIMIT CODE TEXT; files that were open before do not count
  expect "$2" bash -c "exec 3>&- 4>&- 5>&- 6>&-; ulimit $1; nibble-format -q records.jsonl -o out/x" 2>err
  one_line err
  grep -qF -- "nibble-format: out/x: $3" err || fail "$(cat err)"
  empty_folder out
}
limited "-f 4" 74 "cannot write: File too large; allow larger files (ulimit -f) and run again"
limited "-n 5" 73 "cannot create: Too many open files; allow more open files (ulimit -n)"
