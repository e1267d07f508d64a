# SPDX-License-Identifier: Apache-2.0
"""Writes sampling.json: logits as transformers 5.23's processors leave them, in the order of its
generate(): repetition penalty, temperature, top-k, top-p, min-p. null stands for a removed token.

    python tests/infer/golden/sampling.py > tests/infer/golden/sampling.json
"""
import json
import random

import torch
from transformers import (LogitsProcessorList, MinPLogitsWarper, RepetitionPenaltyLogitsProcessor,
                          TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)

CASES = [
    {},
    {"temperature": 0.7},
    {"temperature": 1.5},
    {"top_k": 1},
    {"top_k": 5},
    {"top_k": 1000},
    {"top_p": 0.9},
    {"top_p": 0.3},
    {"top_p": 0.001},
    {"min_p": 0.05},
    {"min_p": 0.5},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.8},
    {"repetition_penalty": 1.2, "temperature": 0.8, "top_k": 12, "top_p": 0.95, "min_p": 0.02},
    {"temperature": 2.0, "top_p": 0.8, "min_p": 0.1},
    {"temperature": 0.5, "top_k": 3, "top_p": 0.6},
]


def processed(options, logits, seen):
    steps = LogitsProcessorList()
    if "repetition_penalty" in options:
        steps.append(RepetitionPenaltyLogitsProcessor(options["repetition_penalty"]))
    if "temperature" in options:
        steps.append(TemperatureLogitsWarper(options["temperature"]))
    if "top_k" in options:
        steps.append(TopKLogitsWarper(options["top_k"]))
    if "top_p" in options:
        steps.append(TopPLogitsWarper(options["top_p"]))
    if "min_p" in options:
        steps.append(MinPLogitsWarper(options["min_p"]))
    out = steps(torch.tensor([seen]), torch.tensor([logits], dtype=torch.float32))[0]
    return [None if x == float("-inf") else x for x in out.tolist()]


def main():
    rng = random.Random(4)
    # Quarters are exact in float and make ties; the other row has none.
    rows = [[rng.randrange(-16, 17) / 4 for _ in range(40)], [rng.gauss(0, 2) for _ in range(67)]]
    cases = []
    for ties, logits in zip((True, False), rows):
        logits = torch.tensor(logits, dtype=torch.float32).tolist()
        seen = [rng.randrange(len(logits)) for _ in range(12)] + [3, 3, 5]
        for options in CASES:
            # Where logits tie, which of equals top-p keeps is the sort's choice, not a rule.
            if ties and "top_p" in options:
                continue
            cases.append({"options": options, "logits": logits, "seen": seen,
                          "want": processed(options, logits, seen)})
    print("[" + ",\n".join(json.dumps(c) for c in cases) + "]")


main()
