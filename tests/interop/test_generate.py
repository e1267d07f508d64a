# SPDX-License-Identifier: Apache-2.0
"""Greedy completions of nibble-generate against transformers' generate, in fp32, for every family,
dense and quantised: text for text, prompts of different lengths growing side by side."""

import json
import pathlib
import shutil
import subprocess

import pytest
import torch
import transformers

from common import FAMILIES, run, tiny_model, tool
from quantized import SCHEMES, dense_model

TOKENIZER = pathlib.Path(__file__).parent.parent / "support" / "tiny-tokenizer"
TOKENS = 32
PROMPTS = ["t", "the other in there", "A longer prompt, beyond the window of seven tokens.",
           "déjà vu", "12 cats", "Ω\n\n  in the end"]


def make_model(family, folder, seed):
    """Bytes, five merges and three special tokens: any ids are text."""
    model = tiny_model(family, folder, seed=seed, vocab_size=264, bos_token_id=0, eos_token_id=2)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TOKENIZER / name, folder / name)
    return model


def bytes_of(tokenizer):
    """Every id's bytes, by the alphabet of byte-level BPE; special tokens have none."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in kept]
    letters = {chr(byte): byte for byte in kept} | {chr(256 + i): b for i, b in enumerate(moved)}
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    return [b"" if i in special else bytes(letters[c] for c in tokenizer.convert_ids_to_tokens(i))
            for i in range(len(tokenizer))]


def transformers_completions(model, folder):
    """(bytes, tokens, why it ended) of each prompt."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    pieces = bytes_of(tokenizer)
    out = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
        done = model.generate(ids, max_new_tokens=TOKENS, do_sample=False, eos_token_id=2,
                              pad_token_id=2)[0, ids.shape[1]:].tolist()
        stopped = done[-1] == 2
        done = done[:-1] if stopped else done
        out.append((b"".join(pieces[i] for i in done), len(done),
                    "stop" if stopped else "length"))
    return out


def as_json(text):
    """JSON has no bytes that are no UTF-8: each becomes U+FFFD."""
    escaped = text.decode(errors="surrogateescape")
    return "".join("\ufffd" if "\udc80" <= c <= "\udcff" else c for c in escaped)


def assert_completes(folder, want, scratch):
    options = [f"--model={folder}", "--raw", "--compute=f32", f"--max-tokens={TOKENS}"]
    records = "".join(json.dumps({"prompt": prompt}) + "\n" for prompt in PROMPTS)
    (scratch / "prompts.jsonl").write_text(records)
    lines = run("nibble-generate", *options, "--batch-size=4", scratch / "prompts.jsonl")
    got = [json.loads(line) for line in lines.splitlines()]
    got = [(record["completion"], record["tokens"], record["finish_reason"]) for record in got]
    assert got == [(as_json(text), *rest) for text, *rest in want]
    for prompt, (text, *_) in zip(PROMPTS, want):  # one alone, to the byte
        command = [tool("nibble-generate"), *options, f"--prompt={prompt}"]
        done = subprocess.run(command, capture_output=True, check=True)
        assert done.stdout == text + b"\n", prompt


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family, tmp_path):
    model = make_model(family, tmp_path / "model", seed=31)
    want = transformers_completions(model, tmp_path / "model")
    assert len({text for text, *_ in want}) == len(PROMPTS)
    assert_completes(tmp_path / "model", want, tmp_path)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_quantised(family, scheme, tmp_path):
    make_model(family, tmp_path / "dense", seed=32)
    run("nibble-quantize", tmp_path / "dense", "-o", tmp_path / "model", *SCHEMES[scheme][0])
    want = transformers_completions(dense_model(tmp_path / "model"), tmp_path / "model")
    assert_completes(tmp_path / "model", want, tmp_path)


def test_smollm2_answers(smollm2, tmp_path):
    """Through its chat template, NF4 and double quantisation, tokens by nibble's own tokenizer."""
    run("nibble-quantize", smollm2, "-o", tmp_path / "nf4", "-q")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "nf4")
    model = dense_model(tmp_path / "nf4")
    questions = ["Name 3 cheeses.", "What is the capital of France?", "Write a haiku about rain."]
    want = []
    for question in questions:
        ids = tokenizer.apply_chat_template([{"role": "user", "content": question}],
                                            add_generation_prompt=True, return_tensors="pt",
                                            return_dict=True).input_ids
        done = model.generate(ids, max_new_tokens=TOKENS, do_sample=False)[0, ids.shape[1]:]
        want.append(tokenizer.decode(done, skip_special_tokens=True))
    (tmp_path / "questions.jsonl").write_text(
        "".join(json.dumps({"prompt": question}) + "\n" for question in questions))
    run("nibble-generate", f"--model={tmp_path}/nf4", "--compute=f32", f"--max-tokens={TOKENS}",
        tmp_path / "questions.jsonl", "-o", tmp_path / "answers.jsonl")
    answers = (tmp_path / "answers.jsonl").read_text().splitlines()
    assert [json.loads(line)["completion"] for line in answers] == want
