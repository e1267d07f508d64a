# SPDX-License-Identifier: Apache-2.0
"""Chat templates of real models, rendered as transformers renders them, faults included."""

import datetime
import json
import pathlib
import subprocess

import pytest
from transformers.utils import chat_template_utils

from common import DATA, run, tool

NOW = 1767355445  # a Friday in January 2026
TEMPLATES = sorted((DATA / "chat_templates").glob("*.jinja")) if DATA else []


class FixedDate(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(NOW)


@pytest.fixture(autouse=True)
def fixed_date(monkeypatch):
    monkeypatch.setattr(chat_template_utils, "datetime", FixedDate)


def weather_tool(name="get_weather"):
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": "Current weather, \"as it is\" <now> & 'here'\nin °C",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "City, e.g. Zürich"},
                    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                    "days": {"type": "array", "items": {"type": "integer"}},
                    "where": {
                        "type": "object",
                        "description": "A place",
                        "properties": {
                            "lat": {"type": "number", "nullable": True},
                            "lon": {"type": ["number", "null"]},
                        },
                        "required": ["lat"],
                    },
                },
                "required": ["city"],
            },
        },
    }


EMPTY_TOOL = {
    "type": "function",
    "function": {
        "name": "now",
        "description": "The time",
        "parameters": {"type": "object", "properties": {}},
    },
}


def user(content, **more):
    return {"role": "user", "content": content, **more}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def system(content):
    return {"role": "system", "content": content}


def call(name, arguments, id="abc123XYZ"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(content, **more):
    return {"role": "tool", "content": content, **more}


CALL = call("get_weather", {"city": "Zürich", "days": [1, 2.5, None, True], "unit": "celsius"})
TEXT_CALL = call("get_weather", '{"city": "Oslo"}', id="call00002")

CONVERSATIONS = {
    "one": [user("Hi")],
    "system": [system("Be brief."), user("Hi"), assistant("Hello.")],
    "answered": [user("Hi"), assistant("Hello.")],
    "long": [system("S"), user("a"), assistant("A"), user("b"), assistant("B"), user("c")],
    "spaces": [system("  s \n"), user("\n a\t"), assistant(" \nA \n\n"), user("  ")],
    "unicode": [system("Über 🦙"), user("naïve 日本語 \u200d👩‍🚀 \u00a0x"), assistant("ß İ ſ “q”")],
    "empty": [user(""), assistant(""), user("again")],
    "empty system": [system(""), user("x")],
    "markers": [user("<|im_start|>x<|im_end|> {{ 7 }} {% if %}"), assistant("</s>[INST] & <b>")],
    "reasoning": [user("1+1?"), assistant("<think>\nadd\n</think>\n\n2"), user("2+2?"),
                  assistant("<think>\n\nadd again\n</think>\n4")],
    "reasoning field": [user("1+1?"), assistant("2", reasoning_content="add"), user("more"),
                        assistant("3", reasoning_content="\nadd\nmore\n")],
    "thinking field": [user("1+1?"), assistant("2", thinking="add")],
    "call": [user("Weather?"), assistant("", tool_calls=[CALL])],
    "call and result": [user("Weather?"), assistant(None, tool_calls=[CALL]),
                        result("sunny", name="get_weather", tool_call_id="abc123XYZ"),
                        assistant("It is sunny.")],
    "calls": [system("S"), user("Weather?"), assistant("Let me look.", tool_calls=[CALL, TEXT_CALL]),
              result('{"t": 21.5, "x": null}', name="get_weather", tool_call_id="abc123XYZ"),
              result("rain", name="get_weather", tool_call_id="call00002"),
              assistant("21.5 and rain"), user("Thanks")],
    "text call": [user("Weather?"), assistant("", tool_calls=[TEXT_CALL]),
                  result("rain", name="get_weather", tool_call_id="call00002")],
    "result object": [user("Weather?"), assistant("", tool_calls=[CALL]),
                      result({"temperature": 21.0, "sky": ["blue", 1e-7, 1e22]},
                             name="get_weather", tool_call_id="abc123XYZ")],
    "parts": [user([{"type": "text", "text": "Look: "}, {"type": "text", "text": "a"}]),
              assistant([{"type": "text", "text": "I see."}])],
    "image": [user([{"type": "image"}, {"type": "text", "text": "What is it?"}])],
    "developer": [{"role": "developer", "content": "Do."}, user("x"), assistant("y")],
    "unknown role": [user("x"), {"role": "critic", "content": "y"}],
    "two users": [user("x"), user("y"), assistant("z")],
    "assistant first": [assistant("x"), user("y")],
    "late system": [user("x"), assistant("y"), system("now this"), user("z")],
    "no content": [user("x"), {"role": "assistant"}],
    "null content": [user("x"), assistant(None)],
    "number": [user("x"), assistant(5)],
    "no role": [{"content": "x"}],
    "no think": [system("Be brief. /no_think"), user("x /no_think"), assistant("y")],
    "channels": [user("q"), assistant("a", thinking="t", tool_calls=[CALL])],
    "none": [],
}

SETTINGS = [
    {},
    {"add_generation_prompt": True},
    {"tools": [weather_tool(), EMPTY_TOOL]},
    {"tools": [weather_tool()["function"]], "add_generation_prompt": True},
    {"tools": [], "documents": [{"title": "T", "text": "x\ny"}, {"title": "U", "text": ""}]},
    {"enable_thinking": False, "add_generation_prompt": True, "thinking": False},
    {"enable_thinking": True, "thinking": True, "reasoning_effort": "high",
     "add_generation_prompt": True, "date_string": "01 Jan 2025", "thinking_budget": 512},
    {"functions": "[]", "datetime": "2026-01-02", "builtin_tools": ["python", "browser"]},
]


def variables_of(messages, settings):
    """What transformers gives to a template."""
    return {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "tools": None,
        "documents": None,
        "add_generation_prompt": False,
        **settings,
        "messages": chat_template_utils._alias_reasoning_fields(messages),
    }


def expected(compiled, variables):
    try:
        return {"text": compiled.render(**variables)}
    except Exception as e:
        return {"error": type(e).__name__, "message": str(e)}


def rendered(jobs):
    """[(template, variables)] as nibble renders them."""
    lines = "".join(
        json.dumps({"template": t, "variables": v, "now": NOW}, ensure_ascii=False) + "\n"
        for t, v in jobs
    )
    done = subprocess.run(
        [tool("render_template")], input=lines.encode(), stdout=subprocess.PIPE, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(source, cases):
    """cases: (name, variables)."""
    compiled = chat_template_utils._compile_jinja_template(source)
    got = rendered([(source, v) for _, v in cases])
    texts = 0
    for (name, variables), ours in zip(cases, got, strict=True):
        want = expected(compiled, variables)
        ours.pop("generation", None)
        ours.pop("line", None)
        assert ours == want, name
        texts += "text" in want
    return texts


@pytest.mark.skipif(not TEMPLATES, reason="NIBBLE_DATA is not set: no real templates")
@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.stem)
def test_template_of_a_model(path):
    cases = [
        (f"{name}, {settings}", variables_of(messages, settings))
        for name, messages in CONVERSATIONS.items()
        for settings in SETTINGS
    ]
    assert check(path.read_text(), cases) >= 20


def golden():
    path = pathlib.Path(__file__).parent.parent / "text" / "golden" / "jinja.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_golden_cases_are_what_jinja2_makes_now():
    variables, *cases = golden()
    for case in cases:
        if "strftime_now" in case["template"]:
            continue
        want = {k: v for k, v in case.items() if k != "template"}
        try:
            compiled = chat_template_utils._compile_jinja_template(case["template"])
        except Exception as e:
            assert type(e).__name__ == want["error"], case
        else:
            assert expected(compiled, variables["variables"]) == want, case


def test_generation_ranges():
    sources = [
        "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}{% generation %}"
        "{{ m.content }}\n{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}",
        "{%- for m in messages %}\n{% generation %}\n  {{- m.content }}\n  {%- endgeneration %}\n"
        "{%- endfor %}",
    ]
    for source in sources:
        compiled = chat_template_utils._compile_jinja_template(source)
        for name in ("one", "long", "spaces", "unicode", "empty", "none"):
            variables = variables_of(CONVERSATIONS[name], {})
            text, ranges = chat_template_utils._render_with_assistant_indices(
                compiled, variables.pop("messages"), variables.pop("tools"),
                variables.pop("documents"), variables.pop("add_generation_prompt"), **variables)
            (ours,) = rendered([(source, variables_of(CONVERSATIONS[name], {}))])
            assert ours["text"] == text
            byte_ranges = [[len(text[:b].encode()), len(text[:e].encode())] for b, e in ranges]
            assert ours["generation"] == byte_ranges


def formatted(tmp_path, template, records, *options):
    """The texts that nibble-format writes, and of each what is trained on."""
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records))
    lines = run("nibble-format", "-q", f"--template={template}", path, *options).splitlines()
    rows = [json.loads(line)["segments"] for line in lines]
    texts = ["".join(s["text"] for s in row) for row in rows]
    return texts, [[s["text"] for s in row if s["label"]] for row in rows]


def by_transformers(path, record, **settings):
    texts, _ = chat_template_utils.render_jinja_template(
        [record["messages"]], tools=record.get("tools"), chat_template=path.read_text(), **settings)
    return texts[0]


@pytest.mark.skipif(not TEMPLATES, reason="NIBBLE_DATA is not set: no real templates")
@pytest.mark.parametrize(
    "name", ["Qwen-Qwen3-0.6B", "Qwen-Qwen2.5-7B-Instruct", "HuggingFaceTB-SmolLM2-135M-Instruct",
             "meta-llama-Llama-3.1-8B-Instruct", "Qwen3-Coder", "moonshotai-Kimi-K2"])
def test_format_writes_what_transformers_renders(tmp_path, name):
    path = DATA / "chat_templates" / f"{name}.jinja"
    records = [{"messages": CONVERSATIONS[c]} for c in ("one", "long", "spaces", "unicode", "empty",
                                                        "reasoning", "markers")]
    if "SmolLM2" not in name:
        talk = [user("Weather?"), assistant("", tool_calls=[CALL]), result("sunny"),
                assistant("It is sunny.")]
        records += [{"messages": talk, "tools": [weather_tool()]}]
    bos = DATA / "tokenizers" / "smollm2"
    texts, _ = formatted(tmp_path, path, records, f"--model={bos}")
    from transformers import PreTrainedTokenizerFast

    special = PreTrainedTokenizerFast.from_pretrained(bos).special_tokens_map
    special = {k: v for k, v in special.items() if k in ("bos_token", "eos_token")}
    assert texts == [by_transformers(path, r, **special) for r in records]


@pytest.mark.skipif(not TEMPLATES, reason="NIBBLE_DATA is not set: no real templates")
@pytest.mark.parametrize(
    "name, own, bos, eos",
    [("gemma", "google-gemma-2-2b-it", "<bos>", "<eos>"),
     ("phi-3", "microsoft-Phi-3.5-mini-instruct", "<s>", "<|endoftext|>")])
def test_names_are_the_models_templates(tmp_path, name, own, bos, eos):
    records = [{"messages": CONVERSATIONS[c]} for c in ("one", "answered", "unicode")]
    path = DATA / "chat_templates" / f"{own}.jinja"
    for record in records:
        record["messages"] = [m for m in record["messages"] if m["role"] != "system"]
    texts, learnt = formatted(tmp_path, name, records)
    assert texts == [by_transformers(path, r, bos_token=bos, eos_token=eos) for r in records]
    end = {"gemma": "<end_of_turn>", "phi-3": "<|end|>"}[name]
    assert learnt[1] == ["Hello." + end]


def test_tokens_trained_on_are_those_of_a_generation_block(tmp_path):
    """Masks found in the rendering against transformers' own, from a template with the blocks."""
    plain = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
    marked = (
        "{% for m in messages %}{% if m.role == 'assistant' %}{{ '<|im_start|>assistant\n' }}"
        "{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}{% else %}"
        "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}")
    records = [{"messages": CONVERSATIONS[c]} for c in ("long", "spaces", "unicode", "empty")]
    compiled = chat_template_utils._compile_jinja_template(marked)
    for name, source in (("plain", plain), ("marked", marked)):
        (tmp_path / f"{name}.jinja").write_text(source)
        texts, learnt = formatted(tmp_path, tmp_path / f"{name}.jinja", records)
        for record, text, ours in zip(records, texts, learnt, strict=True):
            want, ranges = chat_template_utils._render_with_assistant_indices(
                compiled, record["messages"], None, None, False)
            assert (text, ours) == (want, [want[b:e] for b, e in ranges])


MASKED = {
    "smollm2": ("HuggingFaceTB-SmolLM2-135M-Instruct", "<|im_end|>"),
    "llama3": ("meta-llama-Llama-3.2-3B-Instruct", "<|eot_id|>"),
    "qwen3": ("Qwen-Qwen3-0.6B", "<|im_end|>"),
}


@pytest.mark.skipif(not TEMPLATES, reason="NIBBLE_DATA is not set: no real templates")
@pytest.mark.parametrize("model", MASKED)
def test_tokens_trained_on(tmp_path, model):
    """From records to token rows: the ids are those of transformers' text, the labels the answers'."""
    from tokenizers import Tokenizer

    template, end = MASKED[model]
    path = DATA / "chat_templates" / f"{template}.jinja"
    folder = DATA / "tokenizers" / model
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    talk = [system("S"), user("What is 1 + 1?"), assistant("2, naïvely."), user("And\n2 + 2?"),
            assistant("4\n\nof course ")]
    (tmp_path / "talk.jsonl").write_text(json.dumps({"messages": talk}) + "\n")
    answers = [m["content"].strip() if model == "llama3" else m["content"]
               for m in talk if m["role"] == "assistant"]
    if model == "qwen3":
        answers[1] = "<think>\n\n</think>\n\n" + answers[1].lstrip("\n")
    answers = [a + end for a in answers]
    questions = [m["content"] + end for m in talk if m["role"] == "user"]
    for train_on, want in [("assistant", answers), ("last", answers[1:]), ("roles:user", questions),
                           ("roles:user,assistant", [questions[0], answers[0], questions[1], answers[1]])]:
        segments = run("nibble-format", "-q", f"--template={path}", f"--model={folder}",
                       f"--train-on={train_on}", tmp_path / "talk.jsonl")
        text = "".join(s["text"] for s in json.loads(segments)["segments"])
        row = json.loads(run("nibble-tokenize", "-q", f"--model={folder}", input=segments))
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert row["input_ids"] == ids
        runs, inside = [], False
        for i, label in zip(ids, row["labels"], strict=True):
            assert label in (-100, i)
            if label != -100:
                if not inside:
                    runs.append([])
                runs[-1].append(i)
            inside = label != -100
        assert [tokenizer.decode(r, skip_special_tokens=False) for r in runs] == want, train_on
