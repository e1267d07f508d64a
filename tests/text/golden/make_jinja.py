# SPDX-License-Identifier: Apache-2.0
"""Makes jinja.jsonl: small templates over one set of variables, and what jinja2 as transformers sets
it up makes of each, a text or a fault. Run with the environment of scripts/interop:
    python tests/text/golden/make_jinja.py
"""

import json
import pathlib

from transformers.utils import chat_template_utils

HERE = pathlib.Path(__file__).parent

VARIABLES = {
    "s": "Hello wOrld, naïve 日本 ß",
    "pad": " \t x y \n ",
    "quoted": "it's \"q\" \\ \n \u00e9 \u200d \U0001f600 \x7f",
    "e": "",
    "n": 7,
    "z": 0,
    "neg": -3,
    "big": 9007199254740993,
    "f": 2.5,
    "g": 1e-05,
    "h": 1e16,
    "t": True,
    "no": None,
    "l": [3, 1, 2],
    "w": ["b", "A", "c", "a"],
    "m": [1, "x", None, True, 2.0, [1], {"k": "v"}],
    "d": {"b": 1, "A": [1, 2], "c": {"x": None}, "items": "member"},
    "rows": [
        {"name": "Ann", "age": 30, "tags": ["x"], "on": True},
        {"name": "bob", "age": 25, "tags": [], "on": False},
        {"name": "Cy", "age": 30, "tags": ["x", "y"], "on": True},
    ],
    "lines": "one\ntwo\n\nthree\n",
    "html": "<a href='x'>&\"</a>",
}

EXPRESSIONS = """
n + 2 | n - 2.5 | n * f | n / 2 | n // 2 | neg // 2 | neg % 2 | n % neg | 7.5 // 2 | neg % 2.5 | 2 ** 10 | 2 ** -1
2 ** 0.5 | -n | +f | - -n | n / 0 | n // z | n % z | 1.5 % 0 | 1.5 // 0 | big + 1 | big * 1.0 | 10 / 4 * 2 - 1
1 + 2 ~ 3 + 4 | 'a' ~ n ~ none ~ f ~ t ~ l | 'a' + 'b' * 3 | 3 * 'ab' | l + [4] | l * 2 | (1, 2) + (3,) | l + (1,) | 'a' + 1
1 + 'a' | none + 1 | l + 'x' | 'a' * 1.5 | undefined_thing + 1 | 'a' + undefined_thing | undefined_thing ~ 'x' | 'a' - 'b'
d + d | t + t | t * 3 | not t | not e | -t | -s | f ** 2 | 1_000 + 0x1f + 0o17 + 0b11 | 1e3 | 1.5e-7 | 12345678901234567.0 | 0.1 + 0.2
1 == 1.0 | 1 == true | '1' == 1 | none == none | l == [3, 1, 2] | (1,) == [1] | d == d | 1 < 2 < 3 | 1 < 3 < 2 | 'a' < 'B' | l < [3, 2]
1 < 'a' | none < 1 | l < (1,) | 1 != 2 | s != 's' | undefined_thing == other_thing | undefined_thing == none | undefined_thing < 1
'Hell' in s | 3 in l | 'x' not in l | 'b' in d | 1 in d | 1 in s | 'x' in none | 'x' in undefined_thing | [1] in m | n in (7,)
t and n | z or 'x' | e and x.y | e or none | not n in l | (not n) in l | n if t else z | n if e else z | n if e | (n if e) is defined
s[0] | s[-1] | s[100] | s[1:4] | s[-4:] | s[::-1] | s[::2] | s[5:1:-1] | s[:-100] | l[0] | l[-1] | l[5] | l[5] is defined | l[1:] | l[::-1] | l[:0]
l['x'] | l[1.0] | l['append'] | l.append(1) | d.update({}) | d['pop'] | d.b | d['b'] | d.zzz | d['zzz'] is defined | d.zzz.y | d[0] | d.items() | d['items']
d.get('b') | d.get('q') | d.get('q', 5) | d.keys() | d.values() | d.items() | list | d.keys() | list | n.x | none.x | none['x'] | n[1:] | d[1:]
rows[0].name | rows[0]['age'] | rows.0.name | rows[-1]['tags'][1] | s.__class__ | s['__class__'] | d.__init__ | ''.__class__.__mro__ | l.__len__ | d._x
pad.strip() | pad.lstrip() ~ '|' | '|' ~ pad.rstrip() | s.strip('Hß') | s.lstrip('eH') | s.rstrip('日 ß') | pad.split() | s.split('o') | s.split('o', 1) | s.rsplit('o', 1)
' a b  c '.split(none, 1) | ' a b  c '.rsplit(none, 1) | ' a b  c '.split(' ') | ''.split() | ''.split('x') | s.split('') | lines.splitlines() | lines.splitlines(true) | 'a,b'.split(sep=',')
s.upper() | s.lower() | s.title() | s.capitalize() | s.swapcase() | 'ǆ ß ﬁ ΑΣ ΑΣΑ İ'.lower() | 'ǆ ß ﬁ ΐ ŉ'.upper() | 'they\\'re bill\\'s'.title() | 'éa'.capitalize()
s.startswith('He') | s.startswith(('x', 'He')) | s.endswith('ß') | s.endswith(['x']) | s.startswith('l', 2) | s.find('o') | s.find('zz') | s.rfind('o') | s.find('o', 5) | s.index('zz') | s.index('w')
s.count('o') | s.count('') | s.replace('o', '0') | s.replace('o', '0', 1) | 'ab'.replace('', '-') | 'ab'.replace('', '-', 2) | s.replace('o') | s.replace('o', 1) | ', '.join(w) | ','.join(l) | '-'.join('abc') | ''.join([])
'7'.zfill(3) | '-7'.zfill(4) | 'x'.center(6, '*') | 'xy'.center(5, '*') | 'x'.ljust(3) ~ '|' | 'x'.rjust(3) | 'a\\tb'.expandtabs(4) | 'x'.center(4, 'ab')
'a-b-c'.partition('-') | 'a-b-c'.rpartition('-') | 'abc'.partition('-') | 'abc'.rpartition('-') | 'prefix'.removeprefix('pre') | 'prefix'.removesuffix('fix') | 'abc'.removeprefix('x')
'abc'.isalpha() | 'ab1'.isalnum() | '12'.isdigit() | '²'.isdigit() | '½'.isnumeric() | '½'.isdigit() | ' \\n'.isspace() | ''.isspace() | 'Ab'.isupper() | 'AB1'.isupper() | 'ab'.islower() | 'Ab Cd'.istitle() | 'é'.isascii() | '٣'.isdecimal()
l.index(1) | l.index(9) | l.count(1) | (1, 2, 1).count(1) | l.copy() | d.copy() == d | 'x'.nope() | n.bit() | f.is_integer() | 2.0.is_integer()
'%s and %d' % ('x', 3) | '%5.2f|%-6s|%06d|%+d|%x|%X|%o|%e|%g|%%' % (2.345, 'ab', 42, 5, 255, 255, 8, 12345.678, 0.0001) | '%s' % n | '%s %s' % (1,) | '%s' % (1, 2) | '%d' % 'x' | '%(a)s-%(b)d' % {'a': 1, 'b': 2} | '%r' % 'x' | '%.2s' % 'abc' | '%c' % 'x' | '%i' % 3.7 | '%5s|' % none | '%.3d' % 5 | '%#x' % 255
'{} {}'.format(1, 'a') | '{1} {0}'.format(1, 2) | '{a} {b!r}'.format(a=1, b='x') | '{:>5}|{:<5}|{:^5}|{:*^7}'.format(1, 'a', 'b', 'c') | '{:05d} {:,} {:+} {:x} {:#x} {:b} {:.2f} {:e} {:%}'.format(42, 1234567, 3, 255, 255, 5, 2.345, 1500.0, 0.25) | '{{}} {}'.format(1) | '{0.b} {0[A]} {1[0]}'.format(d, l) | '{}'.format() | '{x}'.format() | '{:d}'.format('a') | '{!s:>4}'.format(none) | '{:.3}'.format('abcdef') | '{:10.3f}|'.format(f) | '{:.1f} {:.0f}'.format(0.25, 0.5) | '{' | '}'.format() | '{:g} {:g}'.format(1e10, 0.5) | '{:.3}'.format(2.0) | '{}'.format(1.0) | '{:_>8}'.format(n) | '{0.__class__}'.format(d)
s | upper | s|length | l|length | d|length | no|length | n|length | undefined_thing|length | e|length | s|lower | s|title | s|capitalize | 'foo-bar (baz) [q'|title | pad|trim | pad|trim(' ') | n|trim | no|upper | undefined_thing|upper
s|replace('o', '0') | s|replace('o', '0', 1) | n|replace('7', '8') | l|join | l|join(', ') | rows|join('|', attribute='name') | no|join | 'abc'|join('-') | m|join(',') | undefined_thing|join | l|join(no)
l|first | no|last | undefined_thing|last | undefined_thing|abs | [undefined_thing] < [1] | {} in d.keys() | 'x %' % undefined_thing | 'x' % undefined_thing | no|reverse | []|first | []|first is defined | l|last | []|last | s|first | s|last | d|first | d|last | rows|map(attribute='age')|first | rows|map(attribute='age')|last | l|list | s|list | d|list | no|list | undefined_thing|list
l|sort | w|sort | w|sort(case_sensitive=true) | w|sort(reverse=true) | rows|sort(attribute='age')|map(attribute='name')|list | rows|sort(attribute='age,name', reverse=true)|map(attribute='name')|list | m|sort | d|sort | rows|sort(attribute='zzz')
d|dictsort | d|dictsort(true) | {'x': 2, 'y': 1}|dictsort(by='value') | {'x': 2, 'y': 1}|dictsort(false, 'key', true) | s|dictsort | undefined_thing|dictsort | d|dictsort(by='z') | d|items|list | no|items|list | undefined_thing|items|list
rows|selectattr('on')|map(attribute='name')|list | rows|rejectattr('on')|map(attribute='name')|list | rows|selectattr('age', 'equalto', 30)|list|length | rows|selectattr('age', '>', 26)|map(attribute='name')|join(',') | l|select('odd')|list | l|reject('odd')|list | l|select('divisibleby', 2)|list | m|select|list | l|select('nope')|list | rows|selectattr('tags')|list|length | rows|selectattr('name', 'in', ['Ann'])|list | rows|selectattr('zzz', 'defined')|list | rows|selectattr('zzz', 'undefined')|list|length | l|select('odd') is iterable
w|map('upper')|list | l|map('string')|join | rows|map(attribute='tags.0')|list | rows|map(attribute='zzz', default='-')|list | rows|map(attribute='tags.0', default='-')|join | w|map('nope')|list | w|map|list | w|map('replace', 'a', 'z')|list | l|map('default', 1)|list | l|map(attribute='x')|list
l|min | l|max | w|max | w|min(case_sensitive=true) | rows|max(attribute='age') | []|min | l|sum | rows|sum(attribute='age') | l|sum(start=10) | [[1], [2]]|sum(start=[]) | w|sum | []|sum
l|unique|list | w|unique|list | ['a', 'A', 'b']|unique|list | ['a', 'A']|unique(case_sensitive=true)|list | rows|unique(attribute='age')|map(attribute='name')|list | l|reverse|list | s|reverse | (1,2)|reverse|list | d|reverse|list | l|batch(2)|list | l|batch(2, 0)|list | range(7)|slice(3)|list | range(7)|slice(3, 'x')|list
rows|groupby('age') | rows|groupby('age')|map('first')|list | rows|groupby('name')|list|length | rows|map(attribute='name')|map('lower')|list | l|string | l|string|length | m|string | n|string ~ 'x' | quoted|string | f|string | no|string
undefined_thing|default('x') | no|default('x') | no|default('x', true) | e|d('x', boolean=true) | undefined_thing|default | d.zzz|default({})|length | d.zzz.y|default('x') | n|abs | neg|abs | 'x'|abs | f|round | 3.5|round | 4.5|round | 2.675|round(2) | 1234.5|round(-2) | 2.1|round(method='ceil') | 2.19|round(1, 'floor') | n|round | n|round(2) | 'x'|round
'42'|int | '42.9'|int | 'x'|int | 'x'|int(5) | f|int | neg|int | ' 12 '|int | '1_000'|int | '0x1f'|int(base=16) | 'ff'|int(0, 16) | no|int | l|int | '1e3'|int | t|int | '3.5'|float | 'x'|float | n|float | 'inf'|float | 'nan'|float | '1e400'|float | no|float(1.5) | '-0.0'|float
l|tojson | m|tojson | d|tojson | quoted|tojson | quoted|tojson(ensure_ascii=true) | d|tojson(indent=2) | d|tojson(indent=0) | []|tojson(indent=2) | {}|tojson(indent=2) | d|tojson(sort_keys=true) | d|tojson(separators=(',', ':')) | d|tojson(indent='\\t') | f|tojson | g|tojson | h|tojson | 'inf'|float|tojson | html|tojson | undefined_thing|tojson | (1, 2)|tojson | {1: 2, none: 3, true: 4, 1.5: 5}|tojson | {(1,): 2}|tojson | l|map('string')|tojson | range(3)|tojson | d.items()|tojson | rows|tojson
lines|indent | lines|indent(2) | lines|indent(2, true) | lines|indent(2, blank=true) | lines|indent('> ') | n|indent | 'one two three four'|truncate(10) | 'one two three four'|truncate(10, true) | 'one two three four'|truncate(10, false, '…', 0) | s|wordcount | 'x'|center(5) ~ '|' | '%s!'|format('x') | '%(a)s'|format(a=1)
html|escape | html|e ~ '<' | (html|e) + '<' | '<' + (html|e) | (html|safe) + '<b>' | '<b>' + (html|safe) | html|safe | html|safe|length | (html|safe)|upper | html|e|e | html|forceescape | (s|safe)[1:3] + '<' | (s|safe).strip() + '<' | ['<', s|safe]|join('&') | (s|safe) + 1 | 'x'|safe|string + '<' | (html|tojson|safe) ~ '<'
n is odd | f is odd | 3.0 is odd | n is even | neg is odd | n is divisibleby 7 | n is divisibleby(2) | s is string | l is string | d is mapping | l is sequence | s is sequence | d is sequence | n is sequence | undefined_thing is sequence | s is iterable | n is iterable | no is iterable | no is none | n is none | undefined_thing is none | t is boolean | 1 is boolean | t is true | 1 is true | t is false | e is false | n is integer | t is integer | f is float | n is float | n is number | t is number | f is number | s is number | 'abc' is lower | 'ABC' is upper | 'Abc' is lower | n is defined | undefined_thing is defined | undefined_thing is undefined | d.zzz is defined | range is callable | s is callable | n is sameas 7 | t is sameas true | n is in [7] | n is not in [7] | 'x' is in 'xyz' | n is eq 7 | n is equalto(7) | n is ne 7 | n is gt 3 | n is greaterthan 9 | n is lt 3 | n is ge 7 | n is le 6 | s is escaped | (s|e) is escaped | 'upper' is filter | 'nope' is filter | 'odd' is test | n is nope | not n is odd | n is not odd | n is defined and n is odd | s is odd | (l|map('string')) is sequence | (l|map('string')) is iterable
range(3) | range(3)|list | range(1, 10, 3)|list | range(5, 0, -2)|list | range(0)|list | range(3)[1] | range(3)[-1] | range(10)[2:4] | range(3)|length | range(1000000) | range('x') | range(1, 2, 0) | range() | range(undefined_thing) | 2 in range(3)
dict(a=1, b=2) | dict(d)|length | dict([('x', 1), ('y', 2)]) | dict([1]) | dict({'a': 1}, a=2) | dict(1) | {'a': 1, 'a': 2} | {'a': {'b': [1, (2,)]}} | {} | [] | () | (1,) | [1,] | {'a': 1,} | [none, true, false] | ['it\\'s', 'a"b', "c'd\\"e"] | {[1]: 2} | {l: 1} | {1: 'a'}[1] | {1: 'a'}[true] | {1: 'a'}[1.0] | {none: 'x'}[none]
namespace(a=1) | namespace(a=1).a | namespace(a=1).b | namespace({'x': 1}).x | namespace(_x=1) | namespace(a=1) is mapping | joiner(',')() ~ 'x' | raise_exception('no: ' ~ n) | raise_exception() | raise_exception(none) | strftime_now('%Y-%m-%d %H:%M:%S %j %A %b %d %% %f %z|%Z') | strftime_now('') | strftime_now(1)
nope() | s() | l() | none() | 'abc'|upper|lower|title | 'a' 'b' 'c' | "tab\\there" | 'nl\\nx' | '\\u00e9\\x41\\101' | 'a\\qb' | '\\U0001f600' | n|string|length + 1 | (n|string).zfill(3) | [1, 2][0] + {'a': 1}.a | ('a', 'b')|join | 'x' if n > 5 and n < 10 else 'y' | [x for x in l] | lambda: 1 | n++ | l[ | s|nope | (s|nope if e else 'ok') | n is | 1 if
0.1 | 1.0 | 100.0 | 1e100 | 1.5e300 * 1e10 | 1e22 | 1e21 | 123456789.123 | 1e15 | 1e16 | 0.0001 | 0.00001 | 1e-7 | -0.0 | 5e-324 | 1.7976931348623157e308 | 2.5e-05 | 3.0 * 2 | 7 / 2 | 6 / 2 | f == 2.5 | 1e3 == 1000
m | d | quoted | [quoted] | {'k': quoted} | [s] | [f, g, h, t, no] | [undefined_thing] | (undefined_thing,) ~ '' | rows[0] | d.c | [d.items()] | [namespace(a=1)] | [html|e] | w|map('upper')|list ~ '' | {'a': undefined_thing}
""".strip()

TEMPLATES = [
    # whitespace control
    "a\n{% if t %}\nb\n{% endif %}\nc\n",
    "a\n  {% if t %}\n  b\n  {% endif %}\nc\n\n",
    "a  {%- if t -%}  b  {%- endif -%}  c",
    "a\n  {%+ if t %}\nb{% endif +%}\nc",
    "a\n  {{ n }}\n  b\n",
    "a\n  {{- n -}}\n  b\n",
    "  {# c #}\nx {# d #} y\n  {#- e -#}  z\n{#+ f #}",
    "x{# a -#}\n\n y",
    "{%- raw %} {{ n }} {% x %} {% endraw -%}  z",
    "  {% raw %}\n{{ x }}\n  {% endraw %}\ny",
    "a\r\nb\rc\n{% if t %}\r\nd{% endif %}\r\n",
    "{% if t %}a{% endif %}\n\n{% if t %}b{% endif %}\n",
    "x\u00a0{%- if t %}y{% endif %}",
    "{{+ n }}|{{ '}}' }}|{{ {'a': {'b': 1}}['a']['b'] }}|{{ '%}' }}",
    "{{'a'}}{{ \"b\" }}{{\n'c'\n}}\n",
    "\n",
    "",
    "{",
    "{ {x} }% }}",
    # statements
    "{% if z %}a{% elif e %}b{% elif n %}c{% else %}d{% endif %}",
    "{% if undefined_thing %}a{% else %}b{% endif %}",
    "{% set x = 1 %}{% if t %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }},{% endfor %}{{ x }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d) = [3, 4] %}{{ c }}{{ d }}",
    "{% set a, b = 1, 2, 3 %}",
    "{% set a, b = [1] %}",
    "{% set a, b = 5 %}",
    "{% set x %}  in {{ n }}\n{% endset %}[{{ x }}]",
    "{% set x | upper | trim %}  in {{ s }}\n{% endset %}[{{ x }}]",
    "{% set ns = namespace(i=0) %}{% for x in l %}{% set ns.i = ns.i + x %}{% endfor %}{{ ns.i }}",
    "{% set ns = namespace() %}{% set ns._a = 1 %}",
    "{% set d.x = 1 %}",
    "{% set ns = namespace(a=1) %}{% set ns.b = 2 %}{{ ns.a + ns.b }}{{ ns }}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}"
    "{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem is defined }}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }},{% endfor %}",
    "{% for x in [] %}a{% else %}none{% endfor %}",
    "{% for x in l if x > 1 %}{{ x }}{{ loop.index }}/{{ loop.length }};{% else %}none{% endfor %}",
    "{% for x in l if x > 5 %}{{ x }}{% else %}none{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in d %}{{ k }}{% endfor %}",
    "{% for k, v in d|items %}{{ k }}{{ loop.last }}{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for a, b in l %}x{% endfor %}",
    "{% for x in n %}x{% endfor %}",
    "{% for x in none %}x{% endfor %}",
    "{% for x in undefined_thing %}x{% else %}none{% endfor %}",
    "{% for c in 'a日b' %}{{ c }}.{% endfor %}",
    "{% for x in l %}{% for y in l %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}|",
    "{% for x in range(3) %}{% for y in range(3) %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}",
    "{% break %}",
    "{{ loop.index }}",
    "{% for x in l %}{% endfor %}{{ x }}{{ loop }}",
    "{% for x in [[1, [2, [3]]]] recursive %}{{ loop.depth }}"
    "{% for y in x %}{% if y is iterable %}({{ loop.index }}){% else %}{{ y }}{% endif %}{% endfor %}{% endfor %}",
    "{% set tree = [{'v': 1, 'c': [{'v': 2, 'c': []}, {'v': 3, 'c': [{'v': 4, 'c': []}]}]}] %}"
    "{% for x in tree recursive %}{{ x.v }}@{{ loop.depth }}[{{ loop(x.c) }}]{% endfor %}",
    "{% macro f(a, b='B', c=none) %}{{ a }}-{{ b }}-{{ c }}{% endmacro %}{{ f(1) }} {{ f(1, 2) }} {{ f(c=3, a=1) }} {{ f() }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, b=2) }}",
    "{% macro f(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, 3, x=4) }}",
    "{% macro f(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %},{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% set x = 1 %}{% macro f() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ f() }}",
    "{% macro f() %}{{ y }}{% endmacro %}{% set y = 2 %}{{ f() }}",
    "{% macro f() %}{% set s = 'in' %}{{ s }}{% endmacro %}{{ f() }}{{ s }}",
    "{% for x in l %}{% macro f() %}{{ x }}{% endmacro %}{{ f() }}{% endfor %}",
    "{% macro f(x) %} {{ x }} {% endmacro %}[{{ f('a')|trim }}]{{ f('a')|length }}{{ f }}",
    "{% macro f(x) %}{% if x %}yes{% endif %}{% endmacro %}{{ 'a' if f(false) else 'b' }}",
    "{% macro f(a, b=1, c) %}{% endmacro %}",
    "{{ f(1) }}{% macro f(a) %}{{ a }}{% endmacro %}",
    "{% macro f(t) %}<{{ caller() }}>{{ t }}{% endmacro %}{% call f('x') %}in {{ n }}{% endcall %}",
    "{% macro f() %}{{ caller(1, b=2) }}{% endmacro %}{% call(a, b) f() %}{{ a }}{{ b }}{% endcall %}",
    "{% macro f() %}{{ caller is defined }}{{ caller }}{% endmacro %}{{ f() }}",
    "{% macro f() %}x{% endmacro %}{% call f() %}y{% endcall %}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'a': 2}) }}{{ m.name }}",
    "{% filter upper %}a{{ n }}b{% endfilter %}",
    "{% filter replace('a', 'b') | upper %}banana{% endfilter %}",
    "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}",
    "{% with a = 1, b = a %}{{ b }}{% endwith %}",
    "{% generation %}x{% set q = 1 %}{{ q }}{% endgeneration %}{{ q }}",
    "{% for x in l %}{% generation %}{{ x }}{{ loop.index }}{% endgeneration %}{% endfor %}",
    "{% autoescape false %}{{ html }}{% endautoescape %}",
    "{% print n, s %}",
    "{% set g = l|map('string') %}{{ g|list }}{{ g|list }}",
    "{% set j = joiner('|') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}",
    "{% set x = none %}{{ x.y }}",
    "{% if s is nope %}{% endif %}",
    "{% if e %}{{ s|nope }}{% endif %}ok",
    "{% if s %}{{ s|nope }}{% endif %}",
    "{% set loop_messages = rows[1:] %}{% for r in loop_messages %}{{ r['name'] }}{% endfor %}",
    "{% set true = 1 %}",
    "{% set x.y.z = 1 %}",
    "{% for x in [1,2,3,4][1:-1] %}{{ x }}{% endfor %}",
    "{% for i in range(0, rows|length, 2) %}{{ rows[i].name }}{% endfor %}",
    "{{ rows | selectattr('on', 'true') | map(attribute='name') | join(' ') }}",
    "{%- for r in rows | rejectattr('name', 'equalto', 'bob') -%}{{ r.name }}{%- endfor -%}",
    "{% set x = rows | map(attribute='tags') | list | tojson %}{{ x }}",
    "{% set ns = namespace(out=[]) %}{% for x in l %}{% set ns.out = ns.out + [x * 2] %}{% endfor %}{{ ns.out }}",
    "{% if 'x' in d.c and d.c.x is none %}yes{% endif %}",
    "{% if n == 7 and (f > 2 or e) and not z %}yes{% endif %}",
    "{% set content = s %}{% if '日' in content %}{{ content.split('日')[-1].lstrip() }}{% endif %}",
    # faults of syntax
    "{% if t %}a",
    "{% if t %}a{% endfor %}",
    "{% endif %}",
    "{% for x %}{% endfor %}",
    "{% nope %}",
    "{{ n",
    "{% if t",
    "{# x",
    "{% raw %}x",
    "{{ 'x }}",
    "{{ n ) }}",
    "{{ (n] }}",
    "{{ n n }}",
    "{{ n | }}",
    "{{ }}",
    "{% set %}",
    "{% set 1 = 2 %}",
    "{% for 1 in l %}{% endfor %}",
    "{{ $ }}",
    "{{ a.. }}",
    "{{ f(a=1, 2) }}",
    "{{ f(a=1, a=2) }}",
    "{% macro f( %}{% endmacro %}",
    "{% call n %}{% endcall %}",
    "line 1\n\n{% if t %}\n{{ d.zzz.y }}\n{% endif %}",
]


def cases():
    for line in EXPRESSIONS.splitlines():
        for part in split(line):
            yield "{{ " + part + " }}"
    yield from TEMPLATES


def split(line):
    """The parts between " | "; a filter is written without spaces around its bar."""
    return [p.strip() for p in line.split(" | ") if p.strip()]


def outcome(source):
    try:
        return {"text": chat_template_utils._compile_jinja_template(source).render(**VARIABLES)}
    except Exception as e:
        return {"error": type(e).__name__, "message": str(e)}


def main():
    import datetime

    class FixedDate(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 12, 4, 5)

    chat_template_utils.datetime = FixedDate
    lines = [json.dumps({"variables": VARIABLES})]
    for source in cases():
        lines.append(json.dumps({"template": source, **outcome(source)}, ensure_ascii=True))
    (HERE / "jinja.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
