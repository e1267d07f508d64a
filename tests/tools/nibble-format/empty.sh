# Empty input is empty output; records without text are counted, and so are those without a target.
nibble-format -q </dev/null >out
[ ! -s out ]
echo '{"text":""}' >text.jsonl
printf '{"prompt":"","completion":""}\n{"prompt":"p","completion":""}\n' >prompt.jsonl
nibble-format text.jsonl prompt.jsonl
