# SPDX-License-Identifier: Apache-2.0
"""Times bitsandbytes quantising every matrix of a folder but embedding and head to NF4 with double
quantisation, in memory: bnb_quantize.py MODEL/. Prints one JSON object."""

import json
import pathlib
import sys
import time

import bitsandbytes.functional as F
from safetensors.torch import load_file


def main(folder):
    matrices = [
        tensor
        for file in pathlib.Path(folder).glob("*.safetensors")
        for name, tensor in load_file(file).items()
        if tensor.ndim == 2 and "embed" not in name and "lm_head" not in name
    ]
    F.quantize_4bit(matrices[0], quant_type="nf4", compress_statistics=True)  # not counted
    start = time.perf_counter()
    for matrix in matrices:
        F.quantize_4bit(matrix, quant_type="nf4", compress_statistics=True)
    took = time.perf_counter() - start
    size = sum(m.numel() * m.element_size() for m in matrices)
    print(json.dumps({"gigabytes_per_second": size / 1e9 / took}))


if __name__ == "__main__":
    main(sys.argv[1])
