# SPDX-License-Identifier: Apache-2.0
"""Writes gguf_blocks.json beside itself: blocks of every type that nibble decodes with the floats
that the `gguf` package (0.19.0) makes of them, and floats with the blocks it encodes them to.

    python3 tests/io/golden/gguf_blocks.py
"""

import json
import pathlib

import gguf
import numpy as np

DECODED = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K",
           "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]
ENCODED = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q8_0"]
# Where a type's f16 scales lie in its block: random bytes there could be infinities.
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82],
          "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0],
          "IQ4_XS": [0]}


def random_blocks(rng, name):
    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    count = 256 // block
    if name == "F32":
        return rng.standard_normal(count).astype(np.float32).view(np.uint8).reshape(count, size)
    if name == "F16":
        # Every kind of finite value: normal, subnormal, zero, of either sign.
        bits = np.array([0x0000, 0x8000, 0x0001, 0x83ff, 0x0400, 0x7bff, 0xfbff], np.uint16)
        bits = np.concatenate([bits, rng.integers(0, 0x7c00, count - len(bits), np.uint16)])
        return bits.view(np.uint8).reshape(count, size)
    if name == "BF16":
        bits = rng.integers(0, 0x7f80, count, np.uint16) | (rng.integers(0, 2, count, np.uint16) << 15)
        return bits.astype(np.uint16).view(np.uint8).reshape(count, size)
    blocks = rng.integers(0, 256, (count, size), np.uint8)
    for at in SCALES[name]:
        scales = (rng.standard_normal(count) * 0.1).astype(np.float16)
        blocks[:, at : at + 2] = scales.view(np.uint8).reshape(count, 2)
    return blocks


def floats_to_encode(rng):
    x = rng.standard_normal(256).astype(np.float32)
    x[32:64] = 0  # an all-zero block
    x[64:96] = 1.25  # all equal
    x[96:128] = np.tile([3.0, -3.0], 16)  # two elements equally far from zero
    x[128:160] *= np.float32(1e-6)  # a scale that is subnormal in f16
    x[160:192] = np.round(x[160:192] * 8) / 8  # many ties
    return x


def main():
    rng = np.random.default_rng(20240)
    out = {"decode": {}, "encode": {}}
    for name in DECODED:
        blocks = random_blocks(rng, name)
        rows = blocks.reshape(1, -1)
        if name in ("F32", "F16"):
            rows = rows.view(np.float32 if name == "F32" else np.float16)
        values = gguf.dequantize(rows, gguf.GGMLQuantizationType[name]).astype(np.float32)
        out["decode"][name] = {"blocks": blocks.tobytes().hex(), "floats": values.tobytes().hex()}
    for name in ENCODED:
        x = floats_to_encode(rng)
        blocks = gguf.quantize(x.reshape(1, -1), gguf.GGMLQuantizationType[name])
        out["encode"][name] = {"floats": x.tobytes().hex(), "blocks": blocks.tobytes().hex()}
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(out, indent=1) + "\n")


main()
