# ShareGPT's function calls and observations, and OpenAI's, give the same text and the same mask: the
# call is learnt, what the tool gave is not.
cat >own.jinja <<'END'
{%- if tools %}{{ tools | tojson }}{{ '\n' }}{% endif %}
{%- for m in messages %}
{{- '<' + m.role + '>' }}
{%- if m.tool_calls %}{% for c in m.tool_calls %}{{ c.function | tojson }}{% endfor %}{% endif %}
{{- (m.content or '') + '<end>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<assistant>' }}{% endif %}
END
cat >sharegpt.jsonl <<'END'
{"conversations":[{"from":"human","value":"q"},{"from":"function_call","value":"{\"name\": \"f\", \"arguments\": {\"x\": 1}}"},{"from":"observation","value":"21"},{"from":"gpt","value":"a"}],"tools":"[{\"name\": \"f\", \"parameters\": {}}]"}
END
cat >messages.jsonl <<'END'
{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"f","arguments":{"x":1}}}]},{"role":"tool","content":"21"},{"role":"assistant","content":"a"}],"tools":[{"type":"function","function":{"name":"f","parameters":{}}}]}
END
nibble-format -q --template=own.jinja sharegpt.jsonl
nibble-format -q --template=own.jinja sharegpt.jsonl >want
nibble-format -q --template=own.jinja messages.jsonl | cmp - want
# The parts of a content are joined; those that are no text are refused.
echo '{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"assistant","content":"c"}]}' |
  nibble-format -q --template=own.jinja | grep -F '<user>ab<end>' >/dev/null
echo '{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}' >image.jsonl
expect 65 nibble-format -q --template=own.jinja image.jsonl 2>err
one_line err
grep -qF 'messages[0]: content[0]: is of type "image_url", and only text can be read' err
