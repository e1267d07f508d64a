# SPDX-License-Identifier: Apache-2.0
"""Writes golden.safetensors: code books and small weights quantised by bitsandbytes 0.50 on the CPU.

Case k is a weight of CASES[k]; the test makes the same weights with tests/support/hash_noise.h.
torch must use an instruction set with fused multiply-add (AVX2 or AVX-512).
"""
import json
import pathlib
import sys

import bitsandbytes.functional as F
import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "support"))
from hash_noise import hash_noise  # noqa: E402

# type, rows, columns, dtype, block, double quantisation
CASES = [
    ("nf4", 37, 96, "bfloat16", 64, True),
    ("fp4", 5, 63, "float32", 64, False),
    ("nf4", 300, 64, "float16", 32, True),
    ("nf4", 3, 2731, "bfloat16", 4096, False),
    ("fp4", 7, 129, "bfloat16", 128, True),
    ("nf4", 1, 3, "float32", 64, True),
    ("nf4", 6, 64, "float32", 64, True),
    ("fp4", 33, 512, "float16", 1024, True),
    ("nf4", 1, 1, "bfloat16", 32, False),
    ("int8", 60, 259, "bfloat16", 0, False),
    ("int8", 4, 100, "float32", 0, False),
    ("int8", 6, 65, "float16", 0, False),
]

# Lengths whose mean follows every branch of torch's order of additions.
MEANS = [1, 2, 3, 5, 7, 8, 9, 31, 32, 33, 63, 100, 511, 513, 2047, 4097, 13824, 32767]


def weight(case):
    """Heavy-tailed, for int8 with many codes that lie halfway; every fifth run of 64 elements
    is zero."""
    kind, rows, columns, dtype, _, _ = CASES[case]
    v = hash_noise(0, rows * columns, 1000 + case)
    x = v + hash_noise(0, rows * columns, 2000 + case) if kind == "int8" else v * v * v
    index = torch.arange(rows * columns)
    x = torch.tensor(x).masked_fill((index // 64) % 5 == 2, 0.0)
    return x.reshape(rows, columns).to(getattr(torch, dtype))


def main():
    assert torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    out = {
        "nf4": F.get_4bit_type("nf4", "cpu"),
        "fp4": F.get_4bit_type("fp4", "cpu"),
        "dynamic": F.create_dynamic_map(signed=True),
        "udynamic": F.create_dynamic_map(signed=False),
        "mean_lengths": torch.tensor(MEANS),
        "means": torch.stack([torch.tensor(hash_noise(0, n, n)).mean() for n in MEANS]),
    }
    for case, (kind, _, _, _, block, nested) in enumerate(CASES):
        w = weight(case)
        if kind == "int8":
            codes, scale, _ = F.int8_vectorwise_quant(w.to(torch.float16))
            out |= {f"{case}.codes": codes, f"{case}.row_scale": scale}
            continue
        codes, state = F.quantize_4bit(
            w, blocksize=block, quant_type=kind, compress_statistics=nested
        )
        out |= {f"{case}.codes": codes, f"{case}.absmax": state.absmax}
        if nested:
            out[f"{case}.nested_absmax"] = state.state2.absmax
            out[f"{case}.nested_offset"] = state.offset.reshape(1)
    save_file(out, HERE / "golden.safetensors", metadata={"cases": json.dumps(CASES)})


if __name__ == "__main__":
    main()
