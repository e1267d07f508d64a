# The model's own template, one by name, one in a file; what is trained on in each; and faults of
# templates, in one line that names theirs.
echo '{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}' >talk.jsonl
segments() { nibble-format -q talk.jsonl "$@"; }
segments --template="$tiny_model" | grep -qF '{"label":true,"text":"a<|im_end|>"}'
segments --template=gemma | grep -qF '{"label":true,"text":"a<end_of_turn>"}'
segments --template=gemma --model="$tiny_model" >with-model
! grep -qF '<bos>' with-model || fail "another model's bos was written"

cat >own.jinja <<'END'
{%- for m in messages %}
    {{- m.role ~ ': ' }}
    {%- if m.role == 'assistant' %}
        {%- generation %}{{ m.content }}!{% endgeneration %}
    {%- else %}
        {{- m.content }}
    {%- endif %}
    {{- '\n' }}
{%- endfor %}
END
segments --template=own.jinja >out
[ "$(cat out)" = '{"segments":[{"label":false,"text":"user: q\nassistant: "},{"label":true,"text":"a!"},{"label":false,"text":"\n"}]}' ] || fail "$(cat out)"
segments --template=own.jinja --train-on=all | grep -qF '{"segments":[{"label":true,'

faulty() { # CODE TEXT SOURCE
  printf '%s' "$3" >faulty.jinja
  expect "$1" nibble-format -q talk.jsonl --template=faulty.jinja >out 2>err
  one_line err
  grep -qF -- "$2" err || fail "$(cat err): wanted $2"
  [ ! -s out ]
}
faulty 65 'faulty.jinja:2: ' $'{{ messages }}\n{% if x %}'
faulty 65 "faulty.jinja:3: No filter named 'nope'" $'\n\n{{ x|nope }}'
faulty 65 'talk.jsonl:1: faulty.jinja:1: not today' "{{ raise_exception('not today') }}"
faulty 65 "'dict object' has no attribute 'x'" '{% for m in messages %}{{ m.x.y }}{% endfor %}'
faulty 65 'may never end' '{% set l = range(90000) %}{% for a in l %}{% for b in l %}{% if a == b %}{% endif %}{% endfor %}{% endfor %}'
faulty 65 'recursion' '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}'
faulty 65 'memory' "{{ 'x' * 999999999999 }}"
faulty 65 '--model=DIR' '{% for m in messages %}{{ bos_token + m.content }}{% endfor %}'
faulty 69 '{% generation %}' '{{ messages }}'

# Tools go to the templates that write them; elsewhere they would be lost.
echo '{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"tools":[{"name":"f"}]}' >talk.jsonl
expect 65 segments --template=chatml 2>err
grep -qF 'no place for "tools"' err || fail "$(cat err)"
echo '{{ tools[0].name }}:{% for m in messages %}{{ m.content }}{% endfor %}' >tools.jinja
segments --template=tools.jinja | grep -qF '"text":"f:q"'
