# SPDX-License-Identifier: Apache-2.0
"""Times llama.cpp (llama-cpp-python) reading a prompt and decoding after it, batch 1, greedy:
llama_cpp_rate.py MODEL.gguf PROMPT-TOKENS NEW-TOKENS ROUNDS. Prints what generate_rate prints."""

import json
import os
import random
import statistics
import sys
import time

import llama_cpp


def main(path, prompt_tokens, new_tokens, rounds):
    threads = len(os.sched_getaffinity(0))
    model = llama_cpp.Llama(
        path, n_ctx=prompt_tokens + new_tokens + 1, n_batch=512, n_ubatch=512,
        n_threads=threads, n_threads_batch=threads, verbose=False,
    )
    random.seed(1)
    prompt = [random.randrange(model.n_vocab()) for _ in range(prompt_tokens)]
    reading, decoding = [], []
    for round_ in range(rounds + 1):
        model.reset()
        start = time.perf_counter()
        model.eval(prompt)
        token = model.sample(temp=0.0)
        first = time.perf_counter()
        for _ in range(new_tokens - 1):
            model.eval([token])
            token = model.sample(temp=0.0)
        end = time.perf_counter()
        if round_ > 0:
            reading.append(prompt_tokens / (first - start))
            decoding.append((new_tokens - 1) / (end - first))
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) >> 10 for line in status if line.startswith("VmHWM"))
    print(json.dumps({
        "prompt_tokens_per_second": statistics.median(reading),
        "decoded_tokens_per_second": statistics.median(decoding), "peak_rss_mib": peak,
    }))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
