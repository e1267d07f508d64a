# SPDX-License-Identifier: Apache-2.0
"""Times HF tokenizers on a text's lines, one thread: hf_tokenize.py MODEL/ TEXT. Prints one JSON
object."""

import json
import os
import pathlib
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import tokenizers  # noqa: E402: reads the setting


def main(folder, text):
    tokenizer = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")
    lines = pathlib.Path(text).read_text().splitlines()
    start = time.perf_counter()
    tokenizer.encode_batch_fast(lines)
    took = time.perf_counter() - start
    print(json.dumps({"megabytes_per_second": pathlib.Path(text).stat().st_size / 1e6 / took}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
