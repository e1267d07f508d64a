# SPDX-License-Identifier: Apache-2.0
"""Chat templates of real models, rendered as transformers renders them, faults included."""

import datetime
import json
import subprocess

import pytest
from transformers.utils import chat_template_utils

from common import DATA, tool

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
