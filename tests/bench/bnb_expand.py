# SPDX-License-Identifier: Apache-2.0
"""How fast bitsandbytes makes bf16 of NF4 with nested scales on a GPU: bnb_expand.py ROWS COLUMNS.
Prints bytes a second, codes and scales read and floats written."""

import statistics
import sys
import time

import bitsandbytes.functional
import torch

rows, columns = int(sys.argv[1]), int(sys.argv[2])
weight = torch.randn(rows, columns, dtype=torch.bfloat16, device="cuda")
codes, state = bitsandbytes.functional.quantize_4bit(
    weight, blocksize=64, compress_statistics=True, quant_type="nf4")
out = torch.empty_like(weight)
times = []
for round in range(6):
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(20):
        bitsandbytes.functional.dequantize_4bit(codes, state, out=out)
    torch.cuda.synchronize()
    times.append((time.perf_counter() - start) / 20)
blocks = weight.numel() / 64
moved = weight.numel() * 2.5 + blocks + blocks / 256 * 4
print(moved / statistics.median(times[1:]))
