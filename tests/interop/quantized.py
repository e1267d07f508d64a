# SPDX-License-Identifier: Apache-2.0
"""Quantised folders as the comparisons use them: making them with bitsandbytes, reading them,
dequantising them by the formula."""

import json
import pathlib

import bitsandbytes.functional as F
import torch
import transformers
from safetensors.torch import load_file

# name: options of nibble-quantize, options of bnb_config
SCHEMES = {
    "nf4-nested": (["--type=nf4"], dict(quant="nf4", nested=True)),
    "nf4": (["--type=nf4", "--no-double-quant"], dict(quant="nf4", nested=False)),
    "fp4-nested": (["--type=fp4"], dict(quant="fp4", nested=True)),
    "fp4": (["--type=fp4", "--no-double-quant"], dict(quant="fp4", nested=False)),
    "int8": (["--type=int8"], dict(quant="int8", nested=False)),
}


def bnb_config(quant, nested, **more):
    if quant == "int8":
        return transformers.BitsAndBytesConfig(load_in_8bit=True, **more)
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quant,
        bnb_4bit_use_double_quant=nested,
        bnb_4bit_compute_dtype=torch.bfloat16,
        **more,
    )


def load(folder, **options):
    """As every processor computes it: where there are products of bf16, bitsandbytes would multiply
    these whatever type is asked for, and refuse some shapes."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, device_map="cpu", dtype="auto", **options
    ).eval()
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model


def compute_in(model, dtype):
    """Has a quantised model compute in that type, whatever its folder says."""
    for module in model.modules():
        if hasattr(module, "compute_dtype"):
            module.compute_dtype = dtype
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
    return model


def read(folder):
    """All tensors of a folder, sharded or not."""
    tensors = {}
    for file in sorted(pathlib.Path(folder).glob("*.safetensors")):
        tensors.update(load_file(file))
    return tensors


def state_of(tensor):
    return json.loads(bytes(tensor.tolist()))


def assert_same_tensors(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        if ".quant_state." in name:
            assert state_of(ours[name]) == state_of(tensor), name
            continue
        assert ours[name].dtype == tensor.dtype and ours[name].shape == tensor.shape, name
        same = ours[name].view(torch.uint8) if tensor.dim() else ours[name]
        assert torch.equal(same, tensor.view(torch.uint8) if tensor.dim() else tensor), name


def quantized_names(tensors):
    """Names of the weights that are quantised."""
    names = {n[: n.index(".quant_state.")] for n in tensors if ".quant_state." in n}
    return names | {n.removesuffix("SCB") + "weight" for n in tensors if n.endswith(".SCB")}


def dequantized(tensors, name):
    """By the formula, with bitsandbytes' dequantisation of nested absmax."""
    if name.removesuffix("weight") + "SCB" in tensors:
        scale = tensors[name.removesuffix("weight") + "SCB"]
        return F.int8_vectorwise_dequant(tensors[name], scale)
    state = next(state_of(t) for n, t in tensors.items() if n.startswith(name + ".quant_state."))
    absmax = tensors[name + ".absmax"]
    if absmax.dtype == torch.uint8:
        absmax = torch.ops.bitsandbytes.dequantize_blockwise(
            absmax, tensors[name + ".nested_absmax"], tensors[name + ".nested_quant_map"],
            state["nested_blocksize"], torch.float32,
        ) + torch.tensor(state["nested_offset"])
    codes = tensors[name].reshape(-1).view(torch.uint8).int()
    values = tensors[name + ".quant_map"][torch.stack([codes >> 4, codes & 15], 1).reshape(-1)]
    rows, columns = state["shape"]
    values = values[: rows * columns] * absmax.repeat_interleave(state["blocksize"])[
        : rows * columns
    ]
    return values.reshape(rows, columns)


def dense_model(folder):
    """transformers' model in fp32 with the folder's weights, dequantised where they are quantised."""
    config = transformers.AutoConfig.from_pretrained(folder)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    tensors = read(folder)
    quantized = quantized_names(tensors)
    values = {n: dequantized(tensors, n) if n in quantized else tensors[n].float()
              for n in model.state_dict() if n in tensors}
    missing = model.load_state_dict(values, strict=False).missing_keys
    assert missing == (["lm_head.weight"] if config.tie_word_embeddings else []), missing
    return model.eval()
