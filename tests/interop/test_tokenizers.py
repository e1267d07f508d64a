# SPDX-License-Identifier: Apache-2.0
"""nibble-tokenize against Hugging Face's tokenizers: real texts, all kinds of Unicode, hostile text;
chat templates through nibble-format against transformers' apply_chat_template."""

import json
import pathlib
import random
import shutil
import sys

import pytest
import sentencepiece
import transformers
from common import DATA, run
from tokenizers import Tokenizer
from transformers.utils.chat_template_utils import _compile_jinja_template

GOLDEN = pathlib.Path(__file__).parents[1] / "text/golden"
sys.path.insert(0, str(GOLDEN))
from make import hugging_face_of_pieces  # noqa: E402

needs_data = pytest.mark.skipif(DATA is None, reason="NIBBLE_DATA is not set")
# Those that split text away can leave nothing of it; the golden cases have them.
SMALL = sorted(p for p in GOLDEN.glob("*.json") if not p.stem.startswith("split-"))
REAL = ["gpt2", "llama2", "llama3", "qwen3", "smollm2"]
MODELS = ["llama2/tokenizer.model", "mistral/mistral_instruct_tokenizer_240323.model.v3"]


def ours(model, texts, *options):
    """The ids of every text, none of them empty."""
    lines = "".join(json.dumps({"segments": [{"label": True, "text": t}]}) + "\n" for t in texts)
    out = run("nibble-tokenize", f"--model={model}", "--no-bos", "--no-eos", "-q", *options, input=lines)
    rows = [json.loads(line)["input_ids"] for line in out.splitlines()]
    assert len(rows) == len(texts)
    return rows


def compare(hf, model, texts, literal=False):
    hf.no_truncation()
    hf.encode_special_tokens = literal
    got = ours(model, texts, *(["--literal"] if literal else []))
    for text, ids in zip(texts, got):
        want = hf.encode(text, add_special_tokens=False).ids
        assert ids == want, f"{model}: {text[:200]!r}"


def random_texts(seed, special, count):
    """Mixtures of everything that has rules of its own somewhere."""
    rng = random.Random(seed)

    def code():
        return chr(rng.choice([rng.randrange(1, 0xD800), rng.randrange(0xE000, 0x110000)]))

    pools = [
        lambda: chr(rng.randrange(32, 127)),
        lambda: rng.choice(" \n\t\r  "),
        lambda: rng.choice("\u00a0\u2028\u3000\u180e\u200b\ufeff\x85\x1c\x00\x7f\u2581\u0120"),
        lambda: chr(rng.randrange(0xA0, 0x250)),
        lambda: chr(rng.randrange(0x300, 0x370)),
        lambda: chr(rng.randrange(0x860, 0x1200)),
        lambda: chr(rng.randrange(0x4E00, 0x9FFF)),
        lambda: chr(rng.randrange(0xAC00, 0xD7A4)),
        lambda: chr(rng.randrange(0x10000, 0x12000)),
        lambda: chr(rng.randrange(0x1F300, 0x1FB00)),
        lambda: rng.choice("\u200d\ufe0f\U0001f3fb"),
        code,
        lambda: rng.choice("0123456789½²Ⅷ①५"),
        lambda: rng.choice(["'s", "'T", "'RE", "'ſ", "'ll", "don't", " the", "<0x0A>", *special]),
        lambda: rng.choice("\u0915\u093c\u094d\u09be\u0f71\u0f72\u1ea1\u212b\u0344\u0958\ufb1d\uf900"),
        lambda: rng.choice("aA\u0301\u0323") * rng.randrange(1, 20),
    ]
    texts = []
    for _ in range(count):
        chosen = rng.sample(pools, rng.randrange(1, len(pools)))
        texts.append("".join(rng.choice(chosen)() for _ in range(rng.randrange(1, 30))))
    return texts


def code_points(step):
    """Every code point once, or every step-th of those that are rare, between two letters."""
    for c in range(1, 0x110000):
        if 0xD800 <= c < 0xE000 or (c > 0x3400 and c % step):
            continue
        yield f"a{chr(c)}1{chr(c)}"


def hostile():
    return ["a" * 100_000, " " * 5000, "\n" * 3000, "ab " * 3000, "é" * 4000, "\u0301" * 2000, "12345" * 2000,
            "日本語" * 3000, "\x00", "a\u0323\u0301" * 500, "<|im_start|" * 500, "<" * 5000]  # fmt: skip


def corpus():
    texts = []
    for name in ["tinyshakespeare.txt", "wikitext2_valid.txt", "tinystories_sample_2M.txt"]:
        text = (DATA / "text" / name).read_text(encoding="utf-8")
        texts += [t for t in text.split("\n") if t]
        texts += [text[i : i + 4000] for i in range(0, 400_000, 4000)]
        texts.append(text[:500_000])
    return texts


def special_of(hf):
    return [t.content for t in hf.get_added_tokens_decoder().values()]


@pytest.mark.parametrize("path", SMALL, ids=lambda p: p.stem)
def test_small_tokenizers(path):
    hf = Tokenizer.from_file(str(path))
    texts = random_texts(3, special_of(hf), 1500) + hostile() + list(code_points(211))
    compare(hf, path, texts)
    compare(hf, path, texts[:1500], literal=True)


@pytest.mark.parametrize("legacy", [True, False])
def test_small_sentencepiece(tmp_path, legacy):
    shutil.copy(GOLDEN / "pieces.model", tmp_path / "tokenizer.model")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"legacy": legacy}))
    hf = hugging_face_of_pieces(legacy)
    texts = random_texts(4, special_of(hf), 1500) + hostile() + list(code_points(211))
    compare(hf, tmp_path, texts)
    compare(hf, tmp_path, texts[:1500], literal=True)


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_real_tokenizers(name):
    folder = DATA / "tokenizers" / name
    hf = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = corpus() + random_texts(5, special_of(hf), 20_000) + hostile() + list(code_points(7))
    compare(hf, folder, texts)
    compare(hf, folder, random_texts(6, special_of(hf), 5000), literal=True)


@needs_data
@pytest.mark.parametrize("model", MODELS)
def test_real_sentencepiece(model):
    """The library itself is the judge of text without special tokens."""
    path = DATA / "tokenizers" / model
    judge = sentencepiece.SentencePieceProcessor(model_file=str(path))
    texts = corpus() + random_texts(7, [], 20_000) + hostile() + list(code_points(11))
    for text, ids in zip(texts, ours(path, texts, "--literal")):
        assert ids == judge.encode(text), f"{text[:200]!r}"


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_rows_as_transformers_makes_them(tmp_path, name):
    """bos and eos by the model's rule, as AutoTokenizer adds them."""
    shutil.copytree(DATA / "tokenizers" / name, tmp_path / "m", copy_function=shutil.copyfile)
    (tmp_path / "m/tokenizer.model").unlink(missing_ok=True)
    family = {"gpt2": "gpt2", "qwen3": "qwen3"}.get(name, "llama")
    (tmp_path / "m/config.json").write_text(json.dumps({"model_type": family, "architectures": ["X"]}))
    hf = transformers.AutoTokenizer.from_pretrained(tmp_path / "m")
    texts = ["Hello world", "x <s> y", "12345", "  two  spaces"]
    lines = "".join(json.dumps({"segments": [{"label": True, "text": t}]}) + "\n" for t in texts)
    out = run("nibble-tokenize", f"--model={tmp_path / 'm'}", "-q", input=lines)
    assert [json.loads(line)["input_ids"] for line in out.splitlines()] == hf(texts).input_ids


def conversations(seed, count, alternating):
    rng = random.Random(seed)
    words = ["Hi", "there", "\n", "\n\n", " ", "\t", "\u00a0", "\u3000", "\x1f", "é", "日本", "x y", "<think>", "</think>"]
    for _ in range(count):
        roles = ["system"] * (rng.random() < 0.4) + ["user", "assistant"] * rng.randrange(1, 4)
        if not alternating and rng.random() < 0.2:
            rng.shuffle(roles)
        yield [{"role": r, "content": "w" + "".join(rng.choices(words, k=rng.randrange(0, 6)))} for r in roles]


TEMPLATES = {
    "smollm2": "HuggingFaceTB-SmolLM2-135M-Instruct.jinja",
    "qwen2.5": "Qwen-Qwen2.5-7B-Instruct.jinja",
    "qwen3": "Qwen-Qwen3-0.6B.jinja",
    "llama-3.1": "meta-llama-Llama-3.1-8B-Instruct.jinja",
    "llama-3.2": "meta-llama-Llama-3.2-3B-Instruct.jinja",
    "llama-3.3": "meta-llama-Llama-3.3-70B-Instruct.jinja",
}
LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}"
    "{% set system_message = false %}{% endif %}{% for message in loop_messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception("
    "'Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}"
    "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}"
    "{% endif %}{% endfor %}"
)


def check_template(tmp_path, source, alternating=False):
    """nibble-format over a folder whose tokenizer has <s> and </s>, and the template."""
    shutil.copy(GOLDEN / "pieces-llama.json", tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    (tmp_path / "chat_template.jinja").write_text(source)
    compiled = _compile_jinja_template(source)
    talks = list(conversations(8, 200, alternating))
    lines = "".join(json.dumps({"messages": talk}) + "\n" for talk in talks)
    out = run("nibble-format", f"--template={tmp_path}", "--any-order", "-q", input=lines)
    rows = [json.loads(line)["segments"] for line in out.splitlines()]
    assert len(rows) == len(talks)
    for talk, segments in zip(talks, rows):
        want = compiled.render(messages=talk, add_generation_prompt=False, bos_token="<s>", eos_token="</s>",
                               tools=None, documents=None)  # fmt: skip
        assert "".join(s["text"] for s in segments) == want
        answers = sum(m["role"] == "assistant" for m in talk)
        assert sum(s["label"] for s in segments) == answers


@needs_data
@pytest.mark.parametrize("name", TEMPLATES)
def test_chat_templates(tmp_path, name):
    check_template(tmp_path, (DATA / "chat_templates" / TEMPLATES[name]).read_text(encoding="utf-8"))


def test_llama2_chat_template(tmp_path):
    check_template(tmp_path, LLAMA2, alternating=True)
