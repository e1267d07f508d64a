# SPDX-License-Identifier: Apache-2.0
"""One step's gradients against PEFT's, and the losses of a training run against PEFT's."""

import json

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file

from common import (DATA, FAMILIES, assert_gradients, peft_gradients, random_rows, run, tiny_model,
                    write_rows)

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.mark.parametrize("bias", ["none", "all"])
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_equal_pefts(family, bias, tmp_path):
    base = tiny_model(family, tmp_path / "model", seed=1)
    torch.manual_seed(2)
    config = peft.LoraConfig(
        r=8, lora_alpha=24, target_modules=TARGETS, init_lora_weights=False, bias=bias,
        task_type="CAUSAL_LM",
    )
    model = peft.get_peft_model(base, config)
    model.save_pretrained(tmp_path / "adapter")
    rows = random_rows(12, 30, 160, seed=3)
    write_rows(tmp_path / "rows.jsonl", rows)
    losses = peft_gradients(model, rows)
    (tmp_path / "out").mkdir()
    run("step_dump", tmp_path / "model", tmp_path / "adapter", tmp_path / "rows.jsonl", "f32",
        tmp_path / "out")
    ours = load_file(tmp_path / "out" / "gradients.safetensors")
    assert torch.allclose(ours.pop("losses"), losses, rtol=1e-5, atol=1e-5)
    assert_gradients(ours, model, f"{family}, biases {bias}")


def stories_model(folder):
    """A trained model from real data, quantised to NF4, and the same weights dense for PEFT."""
    if DATA is None:
        pytest.skip("needs NIBBLE_DATA")
    run("nibble-import", DATA / "models" / "stories260K" / "stories260K.gguf", "-o", folder / "model")
    run("nibble-quantize", folder / "model", "-o", folder / "nf4")
    run("nibble-export", folder / "nf4", "--type=bf16", "-o", folder / "dense")
    return folder / "nf4", folder / "dense"


def token_rows(model, text, count, longest):
    out = run("nibble-tokenize", f"--model={model}", "--text", text)
    rows = [json.loads(line) for line in out.splitlines()]
    rows = [row for row in rows if 16 <= len(row["input_ids"]) <= longest]
    assert len(rows) >= count
    return rows[:count]


def nibble_losses(model, data, start, out, batch, rate):
    run("nibble-train", f"--model={model}", f"--data={data}", "--no-shuffle", f"--adapter={start}",
        f"--batch-size={batch}", f"--learning-rate={rate}", "--schedule=constant", "--warmup=0",
        "--steps=100", "-o", out)
    return [json.loads(line)["loss"] for line in open(out / "metrics.jsonl") if '"loss"' in line]


def peft_losses(model, rows, batch, rate):
    """AdamW on one batch after the other; rows of a batch are computed one by one, or together where
    they are of one length. PEFT keeps adapters in fp32 and computes in bf16, as does nibble."""
    trained = [p for p in model.parameters() if p.requires_grad]
    assert all(p.dtype == torch.float32 for p in trained)
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.0)
    losses = []
    for begin in range(0, 100 * batch, batch):
        ids = [row["input_ids"] for row in rows[begin : begin + batch]]
        count = sum(len(row) - 1 for row in ids)
        optimizer.zero_grad()
        total = 0.0
        for group in [ids] if len(set(map(len, ids))) == 1 else [[row] for row in ids]:
            tokens = torch.tensor(group)
            logits = model(input_ids=tokens).logits[:, :-1].float().flatten(0, 1)
            loss = torch.nn.functional.cross_entropy(
                logits, tokens[:, 1:].flatten(), reduction="sum") / count
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        losses.append(total)
    return losses


def assert_follows(ours, theirs, fell, what):
    worst = max(abs(a - b) / b for a, b in zip(ours, theirs, strict=True))
    print(f"{what}: loss {theirs[0]:.4f} to {theirs[-1]:.4f}, training lowered it by {fell:.2f}; "
          f"largest relative difference of a step {worst:.2e}")
    assert fell >= 0.5
    assert worst < 5e-3


def test_a_hundred_steps_follow_pefts(tmp_path):
    nf4, dense = stories_model(tmp_path)
    rows = token_rows(nf4, DATA / "text" / "tinyshakespeare.txt", 1600, 128)
    write_rows(tmp_path / "rows.jsonl", rows)
    run("nibble-pack", f"--model={nf4}", "--mode=pad", "--length=128", tmp_path / "rows.jsonl",
        "-o", tmp_path / "train.nbp")
    torch.manual_seed(5)
    model = transformers.AutoModelForCausalLM.from_pretrained(dense, dtype=torch.bfloat16)
    config = peft.LoraConfig(r=16, lora_alpha=32, target_modules=TARGETS, task_type="CAUSAL_LM")
    model = peft.get_peft_model(model, config)
    model.save_pretrained(tmp_path / "start")
    ours = nibble_losses(nf4, tmp_path / "train.nbp", tmp_path / "start", tmp_path / "out", 16, 1e-3)
    theirs = peft_losses(model, rows, 16, 1e-3)
    assert_follows(ours, theirs, theirs[0] - min(theirs[-10:]), "stories260K")


@pytest.mark.slow
def test_a_hundred_steps_on_smollm2_follow_pefts(smollm2, tmp_path):
    """QLoRA of a real model, PEFT + bitsandbytes on the very folder: 100 steps of 8 x 64 tokens."""
    if DATA is None:
        pytest.skip("needs NIBBLE_DATA")
    nf4 = tmp_path / "nf4"
    run("nibble-quantize", smollm2, "-o", nf4)
    tokenizer = transformers.AutoTokenizer.from_pretrained(nf4)
    text = (DATA / "text" / "tinyshakespeare.txt").read_text()[:300000]
    ids = tokenizer(text, add_special_tokens=False).input_ids
    rows = [{"input_ids": ids[i : i + 64], "labels": ids[i : i + 64]}
            for i in range(0, 800 * 64, 64)]
    assert all(len(row["input_ids"]) == 64 for row in rows)
    for name, part in (("train", rows), ("last", rows[-80:])):
        write_rows(tmp_path / "rows.jsonl", part)
        run("nibble-pack", f"--model={nf4}", "--mode=pad", "--length=64", tmp_path / "rows.jsonl",
            "-o", tmp_path / f"{name}.nbp")
    torch.manual_seed(5)
    model = transformers.AutoModelForCausalLM.from_pretrained(nf4, device_map="cpu")
    config = peft.LoraConfig(r=16, lora_alpha=32, target_modules=TARGETS, task_type="CAUSAL_LM")
    model = peft.get_peft_model(model, config)
    model.save_pretrained(tmp_path / "start")
    ours = nibble_losses(nf4, tmp_path / "train.nbp", tmp_path / "start", tmp_path / "out", 8, 2e-4)
    theirs = peft_losses(model, rows, 8, 2e-4)
    print("step: nibble, PEFT")
    for step, pair in enumerate(zip(ours, theirs), 1):
        print(f"{step}: {pair[0]:.5f} {pair[1]:.5f}")
    # B is zero at the start: what the untrained model makes of the last ten steps' rows.
    before = json.loads(run("nibble-eval", f"--model={nf4}", f"--data={tmp_path}/last.nbp", "--json"))
    assert_follows(ours, theirs, before["loss"] - sum(theirs[-10:]) / 10, "SmolLM2")
