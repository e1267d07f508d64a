# SPDX-License-Identifier: Apache-2.0
"""What is trained on, token by token: against transformers' assistant masks, against offsets where a
tokenizer would merge across a turn's begin or end, and by marked words through every real template."""

import json
import re

import pytest
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from common import DATA, run, tool
from test_chat_templates import TEMPLATES, assistant, call, result, system, user, weather_tool

needs_data = pytest.mark.skipif(not TEMPLATES, reason="NIBBLE_DATA is not set: no real tokenizers")
TOKENIZERS = ["smollm2", "qwen3", "llama3", "gpt2"]

WEATHER = call("get_weather", {"city": "Zürich", "days": [1, 2.5, None, True]})
CONVERSATIONS = {
    "one": [user("Hi"), assistant("Hello.")],
    "system": [system("Be brief."), user("Hi"), assistant("Hello.")],
    "turns": [user("a"), assistant("b"), user("c"), assistant("d e f"), user("g"), assistant("h")],
    "spaces": [user(" a\n"), assistant(" b \n"), user("\n\nc"), assistant("d  ")],
    "unicode": [user("naïve 日本語"), assistant("👩‍🚀 ß İ"), user("é"), assistant("日本\u00a0語")],
    "empty": [user(""), assistant(""), user("again"), assistant("")],
    "call": [user("Weather?"), assistant("", tool_calls=[WEATHER]), result("21.5"),
             assistant("21.5 degrees.")],
    "calls": [user("Weather?"), assistant("Let me look.", tool_calls=[WEATHER, WEATHER]),
              result("1"), result("2"), assistant("1 and 2"), user("Thanks"), assistant("Sure")],
    "unanswered": [user("a"), assistant("b"), user("c")],
    "code": [user("x = 1\n\ty"), assistant("```py\n\tx  =  1\n```\n"), user("12345"),
             assistant("67890")],
}

CALLS = ("{% if m.tool_calls %}{% for c in m.tool_calls %}{{ c.function | tojson }}\n{% endfor %}"
         "{% endif %}{{ m.content }}")
# What ends a turn is a special token of the tokenizer, or text that merges with what is beside it.
SPECIAL = ("{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
           "{%- if m.role == 'assistant' %}{% generation %}" + CALLS + "{{ '<|im_end|>' }}"
           "{% endgeneration %}{% else %}" + CALLS + "{{ '<|im_end|>' }}{% endif %}{{ '\n' }}"
           "{%- endfor %}")
MERGING = {
    "words": ("{%- for m in messages %}{{ m.role + ':' }}{%- if m.role == 'assistant' %}"
              "{% generation %}{{ ' ' + m.content + 'e' }}{% endgeneration %}{% else %}"
              "{{ ' ' + m.content }}{% endif %}{{ 'nd of turn' }}{% endfor %}"),
    "newlines": ("{%- for m in messages %}{{ m.role + '\n' }}{%- if m.role == 'assistant' %}"
                 "{% generation %}{{ '\n' + m.content + '\n' }}{% endgeneration %}{% else %}"
                 "{{ m.content }}{% endif %}{{ '\n\n' }}{% endfor %}"),
    "digits": ("{%- for m in messages %}{{ '1' }}{%- if m.role == 'assistant' %}"
               "{% generation %}{{ '2' + m.content + '3' }}{% endgeneration %}{% else %}"
               "{{ m.content }}{% endif %}{{ '45' }}{% endfor %}"),
}


def rows_of(tmp_path, source, conversations, name, *options):
    """(text, input_ids, labels) of each conversation, as nibble makes them."""
    (tmp_path / "own.jinja").write_text(source)
    (tmp_path / "talks.jsonl").write_text(
        "".join(json.dumps({"messages": m}) + "\n" for m in conversations))
    folder = DATA / "tokenizers" / name
    segments = run("nibble-format", "-q", f"--template={tmp_path / 'own.jinja'}",
                   tmp_path / "talks.jsonl", *options)
    rows = run("nibble-tokenize", "-q", "--no-bos", "--no-eos", f"--model={folder}", input=segments)
    texts = ["".join(s["text"] for s in json.loads(line)["segments"])
             for line in segments.splitlines()]
    rows = [json.loads(line) for line in rows.splitlines()]
    return [(t, r["input_ids"], r["labels"]) for t, r in zip(texts, rows, strict=True)]


@needs_data
@pytest.mark.parametrize("name", TOKENIZERS)
def test_assistant_masks_of_transformers(tmp_path, name):
    """Where turns end in special tokens, ids and mask are transformers' own."""
    folder = DATA / "tokenizers" / name
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    ends = {"smollm2": ("<|im_start|>", "<|im_end|>"), "qwen3": ("<|im_start|>", "<|im_end|>"),
            "llama3": ("<|start_header_id|>", "<|eot_id|>"),
            "gpt2": ("<|endoftext|>", "<|endoftext|>")}
    source = SPECIAL.replace("<|im_start|>", ends[name][0]).replace("<|im_end|>", ends[name][1])
    trained = 0
    rows = rows_of(tmp_path, source, CONVERSATIONS.values(), name)
    for (key, messages), (text, ids, labels) in zip(CONVERSATIONS.items(), rows, strict=True):
        want = tokenizer.apply_chat_template(
            messages, chat_template=source, return_dict=True, return_assistant_tokens_mask=True)
        assert ids == want["input_ids"], key
        assert [int(l != -100) for l in labels] == want["assistant_masks"], key
        assert all(l in (-100, i) for i, l in zip(ids, labels))
        trained += sum(want["assistant_masks"])
    assert trained > 50


def byte_ranges(tokenizer, ids):
    """[(begin, end)] of each token in the text's bytes."""
    ranges, at = [], 0
    alphabet = {c: b for b, c in bytes_to_unicode().items()}
    for i in ids:
        piece = tokenizer.convert_ids_to_tokens(i)
        added = i in tokenizer.added_tokens_decoder
        size = len(piece.encode()) if added else len([alphabet[c] for c in piece])
        ranges.append((at, at + size))
        at += size
    return ranges


def bytes_to_unicode():
    """GPT-2's printable letter for each byte."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {b: chr(b) for b in keep}
    for n, b in enumerate(b for b in range(256) if b not in keep):
        letters[b] = chr(256 + n)
    return letters


@needs_data
@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("template", MERGING)
def test_masks_where_tokens_would_merge(tmp_path, name, template):
    """Trained tokens cover the answers' bytes and no other, even where the tokenizer, given the whole
    text, makes one token of an answer's end and what follows; and a prompt's tokens are its own."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(DATA / "tokenizers" / name)
    source = MERGING[template]
    compiled = chat_template_utils._compile_jinja_template(source)
    talks = {k: m for k, m in CONVERSATIONS.items() if "call" not in k}
    merged = 0
    for (key, messages), (text, ids, labels) in zip(
            talks.items(), rows_of(tmp_path, source, talks.values(), name), strict=True):
        want, ranges = chat_template_utils._render_with_assistant_indices(
            compiled, messages, None, None, False)
        assert text == want, key
        learnt = set()
        for begin, end in ranges:
            learnt |= set(range(len(text[:begin].encode()), len(text[:end].encode())))
        got = set()
        spans = byte_ranges(tokenizer, ids)
        assert spans[-1][1] == len(text.encode()), key
        for (begin, end), label in zip(spans, labels):
            if label != -100:
                got |= set(range(begin, end))
        assert got == learnt, key
        whole = tokenizer.encode(text, add_special_tokens=False)
        merged += whole != ids
        # What stands before the first answer is encoded as generation will see it.
        first = ranges[0][0] if ranges else len(text)
        prompt = tokenizer.encode(text[:first], add_special_tokens=False)
        assert ids[: len(prompt)] == prompt, key
    # Where every digit is a token, digits have nothing to merge with.
    if template != "digits" or name in ("llama3", "gpt2"):
        assert merged > 0, "no conversation of this test is where tokens would merge"


def marked(number):
    """A conversation with a word in every part that says whether it is to be learnt, and what turns."""
    return [
        system(f"notlearnt{number}sys"), user(f"notlearnt{number}a"), assistant(f"learnt{number}a"),
        user(f"notlearnt{number}b"),
        assistant("", tool_calls=[call("get_weather", {"city": f"learnt{number}call"})]),
        result(f"notlearnt{number}tool", name="get_weather", tool_call_id="abc123XYZ"),
        assistant(f"learnt{number}b"), user(f"notlearnt{number}c"), assistant(""),
        user(f"notlearnt{number}d"), assistant(f"learnt{number}c"),
    ]


def without(messages, *what):
    """The conversation without its system message, its call and result, or its empty answer."""
    out = []
    for m in messages:
        if m["role"] == "system" and "system" in what:
            continue
        if (m.get("tool_calls") or m["role"] == "tool") and "tools" in what:
            continue
        if m["role"] == "assistant" and not m["content"] and not m.get("tool_calls"):
            if "empty" in what:
                out.pop()
                continue
        out.append(m)
    if "tools" in what:  # the question whose answer was the call goes with it
        out = [m for i, m in enumerate(out)
               if not (m["role"] == "user" and i + 1 < len(out) and out[i + 1]["role"] == "user")]
    return out


@needs_data
@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.stem)
def test_marked_words_through_real_templates(tmp_path, path):
    """Every answer and call is learnt, and nothing of systems, users and tools, through the model's own
    template; each conversation in the variants that templates differ in."""
    kinds = [(), ("empty",), ("system",), ("tools",), ("tools", "empty"), ("system", "tools"),
             ("system", "tools", "empty")]
    talks = [without(marked(n), *kind) for n, kind in enumerate(kinds)]
    records = [{"messages": m} | ({"tools": [weather_tool()]} if "tools" not in kind else {})
               for m, kind in zip(talks, kinds)]
    (tmp_path / "talks.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    if "functions" in path.read_text() and "datetime" in path.read_text():
        pytest.skip("the template wants variables of its own: functions, datetime")
    segments = run("nibble-format", "-q", "--skip-bad", f"--template={path}",
                   f"--model={DATA / 'tokenizers' / 'smollm2'}", tmp_path / "talks.jsonl")
    rows = run("nibble-tokenize", "-q", f"--model={DATA / 'tokenizers' / 'smollm2'}",
               input=segments).splitlines()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(DATA / "tokenizers" / "smollm2")
    seen = 0
    for line, row in zip(segments.splitlines(), map(json.loads, rows), strict=True):
        parts = json.loads(line)["segments"]
        learnt = tokenizer.decode([l for l in row["labels"] if l != -100])
        given = tokenizer.decode(
            [i for i, l in zip(row["input_ids"], row["labels"]) if l == -100])
        text = "".join(p["text"] for p in parts)
        assert learnt == "".join(p["text"] for p in parts if p["label"])
        assert "notlearnt" not in learnt, learnt
        # Whatever of an answer the template wrote stands in the learnt part.
        assert not re.search(r"(?<!not)learnt\d", given), given
        number = re.search(r"notlearnt(\d)a", text).group(1)
        for word in (f"learnt{number}a", f"learnt{number}b", f"learnt{number}c"):
            assert re.search(rf"(?<!not){word}", learnt), (word, learnt)
        if "tools" not in kinds[int(number)]:
            assert f"learnt{number}call" in learnt, learnt
        seen += 1
    assert seen > 0, "the template took none of the conversations"
    print(f"{path.stem}: {seen} of {len(kinds)}")
