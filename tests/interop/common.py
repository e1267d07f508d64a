# SPDX-License-Identifier: Apache-2.0
"""What the comparisons share: where the tools and the data are, running a tool, tiny models."""

import json
import os
import pathlib
import subprocess

import torch
import transformers
from safetensors.torch import load_file

BIN = pathlib.Path(os.environ["NIBBLE_BIN"])
DATA = pathlib.Path(os.environ["NIBBLE_DATA"]) if os.environ.get("NIBBLE_DATA") else None

FAMILIES = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM, {}),
    "llama3-rope": (
        transformers.LlamaConfig,
        transformers.LlamaForCausalLM,
        dict(
            rope_parameters=dict(
                rope_type="llama3",
                rope_theta=10000.0,
                factor=8.0,
                low_freq_factor=1.0,
                high_freq_factor=4.0,
                original_max_position_embeddings=32,
            )
        ),
    ),
    "llama-bias": (
        transformers.LlamaConfig,
        transformers.LlamaForCausalLM,
        dict(attention_bias=True, mlp_bias=True),
    ),
    "llama-tied": (
        transformers.LlamaConfig,
        transformers.LlamaForCausalLM,
        dict(tie_word_embeddings=True),
    ),
    "mistral": (
        transformers.MistralConfig,
        transformers.MistralForCausalLM,
        dict(sliding_window=7),
    ),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM, {}),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM, dict(head_dim=32)),
}


def tool(name):
    for folder in (BIN, BIN / "tests"):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"{name}: not built in {BIN}")


def run(name, *arguments, **options):
    """Runs a tool and returns its standard output."""
    command = [str(tool(name)), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}"
    return done.stdout


def tiny_model(family, folder, seed=0, dtype=torch.float32, **changes):
    """A small random model of the family, saved to folder; biases and norms are random too."""
    config_class, model_class, extra = FAMILIES[family]
    settings = dict(
        vocab_size=160,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        bos_token_id=1,
        eos_token_id=2,
    )
    settings.update(extra)
    settings.update(changes)
    torch.manual_seed(seed)
    model = model_class(config_class(**settings)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter += 0.2 * torch.randn_like(parameter)
            else:
                parameter.copy_(0.08 * torch.randn_like(parameter))
    model = model.to(dtype)
    model.save_pretrained(folder)
    return model


def random_rows(count, longest, vocabulary, seed):
    """Token rows of random lengths from 1, some tokens not trained."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(count):
        length = int(torch.randint(1, longest + 1, (1,), generator=generator))
        ids = torch.randint(3, vocabulary, (length,), generator=generator).tolist()
        keep = torch.rand(length, generator=generator).tolist()
        rows.append(
            {"input_ids": ids, "labels": [i if k > 0.3 else -100 for i, k in zip(ids, keep)]}
        )
    return rows


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def nibble_logits(folder, rows, compute, scratch, adapter="-"):
    """Logits (N,V) of all rows' tokens, each row a sequence."""
    write_rows(scratch / "rows.jsonl", [{"input_ids": ids, "labels": ids} for ids in rows])
    run("logits_dump", folder, adapter, scratch / "rows.jsonl", compute, scratch / "logits")
    return load_file(scratch / "logits" / "model.safetensors")["logits"]


def model_logits(model, rows):
    """The same from transformers."""
    with torch.no_grad():
        return torch.cat([model(torch.tensor([ids])).logits[0].float() for ids in rows])


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


def assert_gradients(ours, model, what):
    """Those that step_dump wrote against those in PEFT's model, name by name."""
    def plain(name):
        for part in (".default", ".base_layer", ".modules_to_save"):
            name = name.replace(part, "")
        return name

    ours = {plain(name): gradient for name, gradient in ours.items()}
    theirs = {plain(n): p.grad for n, p in model.named_parameters() if p.requires_grad}
    assert ours.keys() == theirs.keys()
    worst = 0.0
    for name, gradient in theirs.items():
        error = ((ours[name] - gradient).norm() / gradient.norm()).item()
        assert error < 1e-4, f"{what}: {name}: relative error {error:.2e}"
        worst = max(worst, error)
    print(f"{what}: {len(theirs)} gradients, largest relative error {worst:.1e}")
