# SPDX-License-Identifier: Apache-2.0
"""Writes adamw8bit.bin: three tensors after seven steps of bitsandbytes 0.50's AdamW8bit on the CPU.

Layout, tensor after tensor: values f32; then codes of m u8, codes of v u8, absmax of m f32, absmax
of v f32; the tensor under 4096 elements has m f32 and v f32 instead. torch must use an instruction
set with fused multiply-add (AVX2 or AVX-512).
"""
import pathlib
import sys

import bitsandbytes as bnb
import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "support"))
from hash_noise import hash_noise  # noqa: E402

TENSORS = [(4133, 0.01), (100, 0.1), (4096, 0.0)]
STEPS, RATE = 7, 1e-3


def gradient(first, count, step):
    v = hash_noise(first, count, step)
    return v * v * v


def main():
    assert torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    params, groups, first = [], [], 0
    for count, decay in TENSORS:
        p = torch.nn.Parameter(torch.tensor(hash_noise(first, count, 0)))
        params.append((p, first))
        groups.append({"params": [p], "weight_decay": decay})
        first += count
    optimizer = bnb.optim.AdamW8bit(groups, lr=RATE)
    for step in range(1, STEPS + 1):
        for p, begin in params:
            p.grad = torch.tensor(gradient(begin, p.numel(), step))
        optimizer.step()
    with open(HERE / "adamw8bit.bin", "wb") as out:
        for p, _ in params:
            state = optimizer.state[p]
            out.write(p.detach().numpy().tobytes())
            keys = ["state1", "state2"]
            if state["state1"].dtype == torch.uint8:
                keys += ["absmax1", "absmax2"]
            for key in keys:
                out.write(state[key].numpy().tobytes())


if __name__ == "__main__":
    main()
