# SPDX-License-Identifier: Apache-2.0
"""One step's gradients against PEFT's, and the losses of a training run against PEFT's."""

import peft
import pytest
import torch
from safetensors.torch import load_file

from common import FAMILIES, random_rows, run, tiny_model, write_rows

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def peft_gradients(model, rows):
    """Mean loss over all trained tokens, each row a sequence of its own."""
    trained = sum(1 for row in rows for label in row["labels"][1:] if label != -100)
    losses = []
    for row in rows:
        if len(row["input_ids"]) < 2:
            continue
        ids = torch.tensor([row["input_ids"]])
        logits = model(input_ids=ids).logits.float()[0, :-1]
        labels = torch.tensor(row["labels"][1:])
        keep = labels != -100
        if not keep.any():
            continue
        loss = torch.nn.functional.cross_entropy(logits[keep], labels[keep], reduction="none")
        (loss.sum() / trained).backward()
        losses.append(loss.detach())
    return torch.cat(losses)


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
    theirs = {
        name.replace(".default", "").replace(".base_layer", ""): parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    ours = {name.replace(".base_layer", ""): gradient for name, gradient in ours.items()}
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        error = (ours[name] - gradient).norm() / gradient.norm()
        assert error < 1e-4, f"{family} {name}: relative error {error:.2e}"
