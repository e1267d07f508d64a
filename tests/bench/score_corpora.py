# SPDX-License-Identifier: Apache-2.0
"""The texts that nibble-score and its peers are timed on: hypotheses, and a list of references for
each."""

import csv
import random


def made_corpus(lines):
    draw = random.Random(1)
    letters = "etaoinshrdlucmfwyp"
    words = ["".join(draw.choices(letters, k=draw.randint(1, 10))) for _ in range(20000)]
    weights = [1 / (i + 3) for i in range(len(words))]
    stream = draw.choices(words, weights, k=lines * 25 + 100)
    hypotheses, references = [], []
    for i in range(lines):
        reference = stream[i * 25 : i * 25 + draw.randint(10, 25)]
        hypothesis = [w for w in reference if draw.random() > 0.12]
        at = draw.randrange(len(hypothesis) + 1)
        hypothesis = hypothesis[at:] + hypothesis[:at] if i % 4 == 0 else hypothesis
        hypotheses.append(" ".join(hypothesis).capitalize() + ".")
        references.append([" ".join(reference).capitalize() + "."])
    return hypotheses, references


def e2e_corpus(folder):
    references = {}
    with open(folder / "testset_w_refs.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            references.setdefault(row["mr"], []).append(row["ref"])
    with open(folder / "tgen.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [row["output"] for row in rows], [references[row["MR"]] for row in rows]
