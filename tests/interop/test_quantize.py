# SPDX-License-Identifier: Apache-2.0
"""Quantised folders: ours against what transformers and bitsandbytes make of the same model, byte for
byte; ours loaded by them, theirs by us."""

import json

import bitsandbytes.functional as F
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from common import FAMILIES, run, tiny_model
from quantized import (SCHEMES, assert_same_tensors, bnb_config, dequantized, load, quantized_names,
                       read)

def logits(model):
    ids = torch.arange(3, 43).reshape(2, 20)
    with torch.no_grad():
        return model(input_ids=ids).logits


@pytest.mark.parametrize("skip", ["lm_head", "", "model.layers.1"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_equals_what_transformers_makes(family, scheme, skip, tmp_path):
    if family != "llama" and (skip != "lm_head" or scheme not in ("nf4-nested", "int8")):
        pytest.skip("combinations are tested with llama")
    tied = "tied" in family
    tiny_model(family, tmp_path / "dense", seed=3, dtype=torch.bfloat16)
    options, config = SCHEMES[scheme]
    modules = {"lm_head": None, "": [], "model.layers.1": ["lm_head", "model.layers.1"]}[skip]
    theirs = load(
        tmp_path / "dense",
        quantization_config=bnb_config(**config, llm_int8_skip_modules=modules),
    )
    theirs.save_pretrained(tmp_path / "theirs")
    skips = ",".join(modules) if modules else ("lm_head" if modules is None else "none")
    run("nibble-quantize", tmp_path / "dense", "-o", tmp_path / "ours", *options, f"--skip={skips}")
    assert_same_tensors(read(tmp_path / "ours"), read(tmp_path / "theirs"))

    mine = json.loads((tmp_path / "ours/config.json").read_text())
    other = json.loads((tmp_path / "theirs/config.json").read_text())
    wanted = ["lm_head"] if modules is None else modules
    assert mine["quantization_config"].pop("llm_int8_skip_modules") == wanted
    other["quantization_config"].pop("llm_int8_skip_modules")
    for key in ("bnb_4bit_compute_dtype",):  # int8's default says nothing
        if scheme == "int8":
            mine["quantization_config"].pop(key), other["quantization_config"].pop(key)
    assert mine["quantization_config"] == other["quantization_config"]

    ours = load(tmp_path / "ours")
    assert torch.equal(logits(ours), logits(load(tmp_path / "theirs")))
    assert tied == (ours.lm_head.weight is ours.model.embed_tokens.weight)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("scheme", ["nf4-nested", "int8"])
def test_other_float_types(scheme, dtype, tmp_path):
    tiny_model("llama", tmp_path / "dense", seed=5, dtype=dtype)
    options, config = SCHEMES[scheme]
    load(tmp_path / "dense", quantization_config=bnb_config(**config)).save_pretrained(
        tmp_path / "theirs"
    )
    run("nibble-quantize", tmp_path / "dense", "-o", tmp_path / "ours", *options)
    assert_same_tensors(read(tmp_path / "ours"), read(tmp_path / "theirs"))


@pytest.mark.parametrize("block", [32, 64, 128, 256, 512, 1024, 2048, 4096])
@pytest.mark.parametrize("quant", ["nf4", "fp4"])
@pytest.mark.parametrize("nested", [True, False])
def test_every_block_size(quant, block, nested, tmp_path):
    # Rows of 72 and 200: no multiple of any block, so that blocks run across rows.
    dense = tiny_model(
        "llama", tmp_path / "dense", seed=7, dtype=torch.bfloat16, hidden_size=72,
        intermediate_size=200, head_dim=18,
    )
    run("nibble-quantize", tmp_path / "dense", "-o", tmp_path / "ours", f"--type={quant}",
        f"--block-size={block}", *([] if nested else ["--no-double-quant"]))
    loaded = load(tmp_path / "ours")
    for name, module in loaded.model.layers.named_modules():
        if not name.endswith("_proj"):
            continue
        weight = dense.model.layers.get_submodule(name).weight.data
        codes, state = F.quantize_4bit(
            weight, blocksize=block, quant_type=quant, compress_statistics=nested
        )
        mine = module.weight.quant_state
        assert torch.equal(module.weight.data, codes), name
        assert torch.equal(mine.absmax, state.absmax) and mine.blocksize == block, name
        if nested:
            assert torch.equal(mine.offset, state.offset), name
            assert torch.equal(mine.state2.absmax, state.state2.absmax), name
    assert_reads_back(tmp_path / "ours", tmp_path / "dump")


def assert_reads_back(folder, out):
    """Every quantised weight is in nibble what the formula says, bit for bit."""
    out.mkdir()
    run("weights_dump", folder, out)
    tensors, mine = read(folder), load_file(out / "model.safetensors")
    quantized = quantized_names(tensors)
    assert quantized and mine.keys() == quantized
    for name in quantized:
        assert torch.equal(mine[name], dequantized(tensors, name)), name


@pytest.mark.parametrize("storage", [torch.uint8, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("skip", [None, []])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_reads_what_transformers_made(scheme, skip, storage, tmp_path):
    _, config = SCHEMES[scheme]
    if config["quant"] == "int8" and storage != torch.uint8:
        pytest.skip("int8 has one storage")
    tiny_model("llama", tmp_path / "dense", seed=9, dtype=torch.bfloat16)
    more = {} if config["quant"] == "int8" else dict(bnb_4bit_quant_storage=storage)
    model = load(
        tmp_path / "dense",
        quantization_config=bnb_config(**config, llm_int8_skip_modules=skip, **more),
    )
    model.save_pretrained(tmp_path / "theirs", max_shard_size="60KB")
    assert len(list((tmp_path / "theirs").glob("*.safetensors"))) > 1
    assert_reads_back(tmp_path / "theirs", tmp_path / "dump")


@pytest.mark.parametrize("scheme", ["nf4-nested", "int8"])
def test_sharded(scheme, tmp_path):
    tiny_model("llama", tmp_path / "dense", seed=11, dtype=torch.bfloat16)
    options, _ = SCHEMES[scheme]
    run("nibble-quantize", tmp_path / "dense", "-o", tmp_path / "one", *options)
    run("nibble-quantize", tmp_path / "dense", "-o", tmp_path / "many", *options,
        "--max-shard-size=30kB")
    files = sorted((tmp_path / "many").glob("*.safetensors"))
    assert len(files) > 3
    for file in files:  # a 4-bit weight and its tables are together
        with safe_open(file, "pt") as f:
            names = set(f.keys())
        assert all(n.split(".weight")[0] + ".weight" in names for n in names if ".absmax" in n)
    assert_same_tensors(read(tmp_path / "many"), read(tmp_path / "one"))
    assert torch.equal(logits(load(tmp_path / "many")), logits(load(tmp_path / "one")))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_all_of_smollm2(scheme, smollm2, tmp_path):
    options, config = SCHEMES[scheme]
    load(smollm2, quantization_config=bnb_config(**config)).save_pretrained(tmp_path / "theirs")
    run("nibble-quantize", smollm2, "-o", tmp_path / "ours", *options)
    assert_same_tensors(read(tmp_path / "ours"), read(tmp_path / "theirs"))
    assert_reads_back(tmp_path / "ours", tmp_path / "dump")
