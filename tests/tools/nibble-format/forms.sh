# Every form once, each in a file of its own, in one run.
echo '{"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}' >messages.jsonl
echo '{"conversations":[{"from":"human","value":"u"},{"from":"gpt","value":"a"}]}' >sharegpt.jsonl
echo '{"prompt":"p ","completion":"c"}' >prompt.jsonl
echo '{"text":"t"}' >text.jsonl
echo '{"question":"q","answer":"a"}' >qa.jsonl
nibble-format --template=llama-2 messages.jsonl sharegpt.jsonl prompt.jsonl text.jsonl
nibble-format --template=alpaca -q qa.jsonl --from=alpaca --fields=instruction:question,output:answer
nibble-format --template=alpaca -q qa.jsonl
nibble-format --template=chatml -q messages.jsonl --train-on=all
nibble-format --template=chatml -q messages.jsonl --train-on=roles:system,user
nibble-format -q prompt.jsonl text.jsonl
printf 'one line\nanother, with {"a":1}\n' >lines.txt
nibble-format -q lines.txt --from=lines
# prompt and completion under other names, and as turns of a chat.
echo '{"input":"i","reply":"r"}' >named.jsonl
nibble-format -q named.jsonl --fields=prompt:input,completion:reply
nibble-format -q named.jsonl --fields=question:input,answer:reply --template=vicuna
