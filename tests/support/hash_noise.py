# SPDX-License-Identifier: Apache-2.0
"""The numbers of hash_noise.h, for the scripts that make golden files."""
import numpy as np


def hash_noise(first, count, stream):
    """Uniform in [-0.5, 0.5), float32, for indices [first, first + count)."""
    mask = np.uint64(0xFFFFFFFF)
    x = np.arange(first, first + count, dtype=np.uint64) + np.uint64(stream * 0x9E3779B9)
    x &= mask
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & mask
    x ^= x >> np.uint64(16)
    return (x >> np.uint64(8)).astype(np.float32) * np.float32(2**-24) - np.float32(0.5)
