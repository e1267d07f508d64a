# SPDX-License-Identifier: Apache-2.0
"""Perplexity in overlapping windows as Hugging Face's guide to perplexity computes it, and over
conversations on what training would learn, against transformers' losses."""

import json
import math

import pytest
import torch
import transformers

from common import run, tiny_model
from completions import SETTINGS, add_tokenizer

TEXT = " ".join(f"item {i} costs {i * 7 % 31} and weighs {i * 3 % 17}" for i in range(90))


def windows(model, ids, length, stride):
    """Mean negative log-likelihood: each window scores the tokens that no window before it did."""
    total, count, scored = 0.0, 0, 0
    for begin in range(0, len(ids), stride):
        end = min(begin + length, len(ids))
        labels = torch.tensor([ids[begin:end]])
        labels[:, : scored - begin if scored > begin else 0] = -100
        with torch.no_grad():
            logits = model(torch.tensor([ids[begin:end]])).logits[0, :-1].float()
        targets = labels[0, 1:]
        keep = targets != -100
        total += torch.nn.functional.cross_entropy(
            logits[keep], targets[keep], reduction="sum").item()
        count += int(keep.sum())
        scored = end
        if end == len(ids):
            break
    return total / count, count


@pytest.mark.parametrize("length,stride", [(48, 48), (48, 16), (64, 63), (33, 1)])
@pytest.mark.parametrize("family", ["llama", "mistral", "qwen3"])
def test_windows(family, length, stride, tmp_path):
    model = tiny_model(family, tmp_path / "model", seed=41, **SETTINGS)
    add_tokenizer(tmp_path / "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    (tmp_path / "text").write_text(TEXT)
    ids = tokenizer(TEXT).input_ids
    got = json.loads(run("nibble-eval", "-q", f"--model={tmp_path}/model",
                         f"--perplexity={tmp_path}/text", f"--length={length}",
                         f"--stride={stride}", "--compute=f32", "--json"))
    want, count = windows(model, ids, length, stride)
    assert got["tokens"] == count
    assert got["loss"] == pytest.approx(want, rel=1e-5)
    assert got["perplexity"] == pytest.approx(math.exp(want), rel=1e-4)
    bits = want * count / len(TEXT.encode()) / math.log(2)
    assert got["bits_per_byte"] == pytest.approx(bits, rel=1e-5)


def test_smollm2_text(smollm2, tmp_path):
    model = transformers.AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(smollm2)
    text = TEXT[:1500]
    (tmp_path / "text").write_text(text)
    got = json.loads(run("nibble-eval", "-q", f"--model={smollm2}", f"--perplexity={tmp_path}/text",
                         "--length=256", "--stride=128", "--compute=f32", "--json"))
    want, count = windows(model, tokenizer(text).input_ids, 256, 128)
    assert got["tokens"] == count
    assert got["loss"] == pytest.approx(want, rel=1e-4)


def test_conversations(smollm2, tmp_path):
    """Only what the assistant says, its end of turn with it, in the model's own template."""
    talks = [[{"role": "user", "content": f"What costs item {i}?"},
              {"role": "assistant", "content": f"Item {i} costs {i * 7 % 31}."},
              {"role": "user", "content": "And its weight?"},
              {"role": "assistant", "content": f"{i * 3 % 17}."}] for i in range(4)]
    (tmp_path / "talks.jsonl").write_text(
        "".join(json.dumps({"messages": talk}) + "\n" for talk in talks))
    got = json.loads(run("nibble-eval", "-q", f"--model={smollm2}", "--compute=f32",
                         f"--data={tmp_path}/talks.jsonl", "--json"))
    model = transformers.AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(smollm2)
    total, count = 0.0, 0
    for talk in talks:
        whole = tokenizer.apply_chat_template(talk, tokenize=False)
        encoded = tokenizer(whole, return_offsets_mapping=True, add_special_tokens=False)
        ids, spans, at = encoded.input_ids, encoded.offset_mapping, 0
        trained = torch.zeros(len(ids), dtype=torch.bool)
        for turn in talk:
            at = whole.index(turn["content"], at)
            end = whole.index("<|im_end|>", at) + len("<|im_end|>")
            if turn["role"] == "assistant":
                for k, (low, high) in enumerate(spans):
                    trained[k] |= low >= at and high <= end
            at = end
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, :-1].float()
        losses = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
        total += losses[trained[1:]].sum().item()
        count += int(trained[1:].sum())
    assert got["tokens"] == count
    assert got["loss"] == pytest.approx(total / count, rel=1e-4)
