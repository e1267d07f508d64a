# SPDX-License-Identifier: Apache-2.0
"""Times llama.cpp on a text cut into contexts, every row through the head, log-probabilities not
counted: llama_cpp_perplexity.py MODEL.gguf TEXT CONTEXT. Prints one JSON object."""

import json
import os
import pathlib
import sys
import time

import llama_cpp


def main(path, text, context):
    threads = len(os.sched_getaffinity(0))
    model = llama_cpp.Llama(path, n_ctx=context, n_batch=context, n_ubatch=context, logits_all=True,
                            n_threads=threads, n_threads_batch=threads, verbose=False)
    ids = model.tokenize(pathlib.Path(text).read_bytes(), add_bos=False)
    model.eval(ids[:context])  # not counted
    start = time.perf_counter()
    for begin in range(0, len(ids), context):
        model.reset()
        model.eval(ids[begin : begin + context])
    print(json.dumps({"tokens_per_second": len(ids) / (time.perf_counter() - start)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
