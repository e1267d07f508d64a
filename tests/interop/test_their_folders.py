# SPDX-License-Identifier: Apache-2.0
"""Folders that transformers and bitsandbytes quantised and saved themselves, used as they stand:
imported, trained, completed with, merged and exported."""

import json
import pathlib
import shutil

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file

from common import model_logits, random_rows, run, tiny_model, write_rows
from quantized import SCHEMES, bnb_config, dense_model, dequantized, load, quantized_names, read

TOKENIZER = pathlib.Path(__file__).parent.parent / "support" / "tiny-tokenizer"
CASES = [(scheme, skip) for scheme in SCHEMES for skip in (None, [])]


@pytest.fixture(params=CASES, ids=[f"{s}-{'all' if skip == [] else 'head'}" for s, skip in CASES])
def theirs(request, tmp_path):
    """A folder of theirs, the head skipped or not."""
    scheme, skip = request.param
    tiny_model("llama", tmp_path / "dense", seed=41, dtype=torch.bfloat16, vocab_size=264,
               bos_token_id=0, eos_token_id=2)
    config = bnb_config(**SCHEMES[scheme][1], llm_int8_skip_modules=skip)
    load(tmp_path / "dense", quantization_config=config).save_pretrained(tmp_path / "theirs")
    tokenizer = transformers.AutoTokenizer.from_pretrained(TOKENIZER)
    tokenizer.save_pretrained(tmp_path / "theirs")
    tensors = read(tmp_path / "theirs")
    assert len(quantized_names(tensors)) == 21 + (skip == [])
    return tmp_path / "theirs"


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


def test_train_and_generate_and_merge(theirs, tmp_path):
    """Two steps: the losses are PEFT's on the dequantised weights, and the adapter loads on them."""
    dense = dense_model(theirs)
    rows = [row for row in random_rows(8, 30, 264, seed=42) if len(row["input_ids"]) > 3]
    for row in rows:
        row["labels"] = row["input_ids"]
    write_rows(tmp_path / "rows.jsonl", rows)
    run("nibble-pack", f"--model={theirs}", "--mode=pad", "--length=64", tmp_path / "rows.jsonl",
        "-o", tmp_path / "train.nbp")
    run("nibble-train", f"--model={theirs}", f"--data={tmp_path}/train.nbp", "--compute=f32",
        "--steps=2", f"--batch-size={len(rows)}", "--rank=4", "--learning-rate=0.01", "--warmup=0",
        "--schedule=constant", "-o", tmp_path / "adapter")
    ours = [json.loads(line)["loss"] for line in open(tmp_path / "adapter" / "metrics.jsonl")]

    def loss(model):
        losses = []
        for row in rows:
            logits = model_logits(model, [row["input_ids"]])[:-1]
            target = torch.tensor(row["input_ids"][1:])
            losses.append(torch.nn.functional.cross_entropy(logits, target, reduction="none"))
        return torch.cat(losses).mean().item()

    assert len(ours) == 2 and abs(ours[0] - loss(dense)) < 1e-5 * ours[0]

    # nibble-generate with the adapter, and without.
    prompt = "the other in there"
    ids = transformers.AutoTokenizer.from_pretrained(theirs)(prompt, return_tensors="pt").input_ids
    say = ["nibble-generate", f"--model={theirs}", "--raw", "--compute=f32", "--max-tokens=16"]
    (tmp_path / "p.jsonl").write_text(json.dumps({"prompt": prompt}) + "\n")

    def assert_says(model, *options):
        tokens = model.generate(ids, max_new_tokens=16, do_sample=False, eos_token_id=2,
                                pad_token_id=2)[0, ids.shape[1]:].tolist()
        record = json.loads(run(*say, *options, tmp_path / "p.jsonl"))
        decoded = json.loads(run("nibble-tokenize", f"--model={theirs}", "--decode", write(tokens)))
        assert decoded["text"] == record["completion"]
        assert record["tokens"] == len(tokens) - (tokens[-1] == 2)

    def write(tokens):
        tokens = tokens[:-1] if tokens[-1] == 2 else tokens
        write_rows(tmp_path / "ids.jsonl", [{"input_ids": tokens, "labels": tokens}])
        return tmp_path / "ids.jsonl"

    assert_says(dense)
    adapted = peft.PeftModel.from_pretrained(dense, tmp_path / "adapter").eval()
    assert abs(ours[1] - loss(adapted)) > 1e-3 * ours[1]  # two steps on from the second's loss
    assert_says(adapted, f"--adapter={tmp_path}/adapter")

    # Merged, dense and quantised again.
    run("nibble-merge", f"--model={theirs}", f"--adapter={tmp_path}/adapter", "--type=f32", "-o",
        tmp_path / "merged")
    merged = adapted.merge_and_unload().state_dict()
    got = load_file(tmp_path / "merged" / "model.safetensors")
    assert got.keys() == merged.keys()
    for name, weight in merged.items():  # sums of 4 products and W, each side rounding six times
        bound = 12 * 2.0**-24 * (weight.abs().max() + 1)
        assert (got[name] - weight).abs().max() <= bound, name
    run("nibble-merge", f"--model={theirs}", f"--adapter={tmp_path}/adapter", "--type=keep", "-o",
        tmp_path / "again")
    assert quantized_names(read(tmp_path / "again")) == quantized_names(read(theirs))
    with torch.no_grad():
        assert torch.isfinite(load(tmp_path / "again")(ids).logits).all()


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
