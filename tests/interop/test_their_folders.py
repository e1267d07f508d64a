# SPDX-License-Identifier: Apache-2.0
"""Folders that transformers and bitsandbytes quantised and saved themselves, used as they stand:
imported, trained, completed with, merged and exported."""

import json

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file

from common import random_rows, run, tiny_model, write_rows
from completions import SETTINGS, add_tokenizer, assert_completes
from quantized import (SCHEMES, assert_same_tensors, bnb_config, dense_model, dequantized, load,
                       quantized_names, read)

CASES = [(scheme, skip) for scheme in SCHEMES for skip in (None, [])]


@pytest.fixture(params=CASES, ids=[f"{s}-{'all' if skip == [] else 'head'}" for s, skip in CASES])
def theirs(request, tmp_path):
    """A folder of theirs, the head skipped or not."""
    scheme, skip = request.param
    tiny_model("llama", tmp_path / "dense", seed=41, dtype=torch.bfloat16, **SETTINGS)
    config = bnb_config(**SCHEMES[scheme][1], llm_int8_skip_modules=skip)
    load(tmp_path / "dense", quantization_config=config).save_pretrained(tmp_path / "theirs")
    add_tokenizer(tmp_path / "theirs")
    assert len(quantized_names(read(tmp_path / "theirs"))) == 21 + (skip == [])
    return tmp_path / "theirs"


def adapted(folder, adapter):
    """Its dequantised weights under an adapter with random A and B, which is saved."""
    torch.manual_seed(43)
    config = peft.LoraConfig(r=4, lora_alpha=8, init_lora_weights=False, task_type="CAUSAL_LM",
                             target_modules="all-linear")
    model = peft.get_peft_model(dense_model(folder), config)
    model.save_pretrained(adapter)
    return model.eval()


def test_import_keeps_them(theirs, tmp_path):
    run("nibble-import", theirs, "-o", tmp_path / "in", "-q")
    run("nibble-inspect", tmp_path / "in", "--verify")
    before, after = read(theirs), read(tmp_path / "in")
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert after[name].dtype == tensor.dtype and torch.equal(after[name], tensor), name
    ids = torch.arange(3, 30)[None]
    with torch.no_grad():
        assert torch.equal(load(tmp_path / "in")(ids).logits, load(theirs)(ids).logits)


def test_two_steps_follow_pefts(theirs, tmp_path):
    """PEFT trains on the dequantised weights, from the same random A and B."""
    rows = [row["input_ids"] for row in random_rows(16, 30, 264, seed=42)]
    rows = [ids for ids in rows if len(ids) > 3]
    write_rows(tmp_path / "rows.jsonl", [{"input_ids": ids, "labels": ids} for ids in rows])
    run("nibble-pack", f"--model={theirs}", "--mode=pad", "--length=32", tmp_path / "rows.jsonl",
        "-o", tmp_path / "train.nbp")
    model = adapted(theirs, tmp_path / "start")
    run("nibble-train", f"--model={theirs}", f"--data={tmp_path}/train.nbp", "--compute=f32",
        "--no-shuffle", f"--adapter={tmp_path}/start", "--steps=2", "--batch-size=7",
        "--learning-rate=0.01", "--warmup=0", "--schedule=constant", "-o", tmp_path / "out")
    ours = [json.loads(line)["loss"] for line in open(tmp_path / "out" / "metrics.jsonl")
            if '"loss"' in line]

    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.01, weight_decay=0.0)
    theirs_losses = []
    for batch in rows[:7], rows[7:14]:
        losses = [torch.nn.functional.cross_entropy(
            model(torch.tensor([ids])).logits[0, :-1], torch.tensor(ids[1:]), reduction="none")
            for ids in batch]
        loss = torch.cat(losses).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        theirs_losses.append(loss.item())
    assert ours == pytest.approx(theirs_losses, rel=1e-5)
    # And PEFT loads the result on the very folder.
    loaded = peft.PeftModel.from_pretrained(load(theirs), tmp_path / "out").eval()
    with torch.no_grad():
        assert torch.isfinite(loaded(torch.tensor([rows[0]])).logits).all()


def test_generate(theirs, tmp_path):
    assert_completes(dense_model(theirs), theirs, tmp_path)
    model = adapted(theirs, tmp_path / "adapter")
    assert_completes(model, theirs, tmp_path, f"--adapter={tmp_path}/adapter")


def test_merge(theirs, tmp_path):
    model = adapted(theirs, tmp_path / "adapter")
    for kind in ("f32", "bf16", "keep"):
        run("nibble-merge", f"--model={theirs}", f"--adapter={tmp_path}/adapter",
            f"--type={kind}", "-o", tmp_path / kind)
    # Sums of 4 products, the scale and the sum with W: 7 roundings each side.
    bounds = {}
    for name, module in model.named_modules():
        if isinstance(module, peft.tuners.lora.LoraLayer):
            a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
            size = 2 * (b.abs() @ a.abs()) + module.base_layer.weight.abs()
            bounds[name.removeprefix("base_model.model.") + ".weight"] = 14 * 2.0**-24 * size
    want = model.merge_and_unload().state_dict()
    merged = load_file(tmp_path / "f32" / "model.safetensors")
    assert merged.keys() == want.keys() and len(bounds) == 21
    for name, weight in want.items():
        difference = (merged[name] - weight).abs()
        assert (difference <= bounds.get(name, torch.zeros(()))).all(), name
    # Quantised again: what transformers and bitsandbytes make of the merged model.
    config = transformers.AutoConfig.from_pretrained(theirs).quantization_config
    load(tmp_path / "bf16", quantization_config=transformers.BitsAndBytesConfig.from_dict(
        config)).save_pretrained(tmp_path / "again")
    assert_same_tensors(read(tmp_path / "keep"), read(tmp_path / "again"))


def test_export_writes_the_dequantised_weights(theirs, tmp_path):
    run("nibble-export", theirs, "-o", tmp_path / "out", "-q")
    run("nibble-export", theirs, "--type=f32", "-o", tmp_path / "out32", "-q")
    run("nibble-export", theirs, "--type=f32", "-o", tmp_path / "out.gguf", "-q")
    tensors = read(theirs)
    for folder in ("out", "out32"):
        out = read(tmp_path / folder)
        for name, tensor in out.items():
            wide = name in quantized_names(tensors)
            want = (dequantized(tensors, name) if wide else tensors[name]).to(torch.bfloat16)
            assert torch.equal(tensor, want.to(tensor.dtype)), name
            assert tensor.dtype == (torch.float32 if folder == "out32" else torch.bfloat16), name
        assert len(out) == 3 * 9 + 3
