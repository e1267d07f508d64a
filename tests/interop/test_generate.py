# SPDX-License-Identifier: Apache-2.0
"""Greedy completions of every family, dense and quantised, and of SmolLM2 against transformers'."""

import json

import pytest
import transformers

from common import FAMILIES, run, tiny_model
from completions import SETTINGS, add_tokenizer, assert_completes
from quantized import SCHEMES, dense_model


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family, tmp_path):
    model = tiny_model(family, tmp_path / "model", seed=31, **SETTINGS)
    add_tokenizer(tmp_path / "model")
    assert_completes(model, tmp_path / "model", tmp_path)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_quantised(family, scheme, tmp_path):
    tiny_model(family, tmp_path / "dense", seed=32, **SETTINGS)
    add_tokenizer(tmp_path / "dense")
    run("nibble-quantize", tmp_path / "dense", "-o", tmp_path / "model", *SCHEMES[scheme][0])
    assert_completes(dense_model(tmp_path / "model"), tmp_path / "model", tmp_path)


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
        done = model.generate(ids, max_new_tokens=32, do_sample=False)[0, ids.shape[1]:]
        want.append(tokenizer.decode(done, skip_special_tokens=True))
    (tmp_path / "questions.jsonl").write_text(
        "".join(json.dumps({"prompt": question}) + "\n" for question in questions))
    run("nibble-generate", f"--model={tmp_path}/nf4", "--compute=f32", "--max-tokens=32",
        tmp_path / "questions.jsonl", "-o", tmp_path / "answers.jsonl")
    answers = (tmp_path / "answers.jsonl").read_text().splitlines()
    assert [json.loads(line)["completion"] for line in answers] == want
