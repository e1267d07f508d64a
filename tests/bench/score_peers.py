#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""nibble-score beside rouge-score, sacrebleu and NLTK, on one core each: seconds of CPU for the same
scores of the same texts, the whole process of nibble-score against the metric's own work in Python
(its start, its imports and reading the files left out).

  NIBBLE_BIN=build python3 tests/bench/score_peers.py [--e2e=DIR] [--lines=100000] [--metric=NAME]

--e2e names a folder with testset_w_refs.csv and tgen.tsv. The corpus of --lines is made here; of it
Python scores the first part that takes it some ten seconds, and its seconds are scaled by lines.
"""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile
import time

from nltk.translate import bleu_score
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF, TER

from score_corpora import e2e_corpus, made_corpus


def columns(references):
    most = max(map(len, references))
    return [[r[i] if i < len(r) else None for r in references] for i in range(most)]


def sacrebleu_run(metric):
    return lambda hypotheses, references: metric().corpus_score(hypotheses, columns(references)).score


def rouge_run(stem):
    def run(hypotheses, references):
        kinds = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
        scorer = rouge_scorer.RougeScorer(kinds, use_stemmer=stem)
        scores = [scorer.score_multi(r, h) for h, r in zip(hypotheses, references)]
        return statistics.fmean(s["rouge1"].fmeasure for s in scores)

    return run


def nltk_run(hypotheses, references):
    smoothing = bleu_score.SmoothingFunction().method1
    return statistics.fmean(
        bleu_score.sentence_bleu([r.split() for r in own], h.split(), smoothing_function=smoothing)
        for h, own in zip(hypotheses, references)
    )


PEERS = {  # and about how many lines a second Python scores
    "rouge": (rouge_run(False), 400),
    "rouge:stem": (rouge_run(True), 300),
    "bleu": (sacrebleu_run(BLEU), 5000),
    "bleu:tokenize=intl": (sacrebleu_run(lambda: BLEU(tokenize="intl")), 3000),
    "chrf": (sacrebleu_run(CHRF), 1000),
    "chrf++": (sacrebleu_run(lambda: CHRF(word_order=2)), 1000),
    "ter": (sacrebleu_run(TER), 100),
    "nltk-bleu:smooth=method1": (nltk_run, 1000),
}


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def our_seconds(spec, files):
    tool = pathlib.Path(os.environ.get("NIBBLE_BIN", "build")) / "nibble-score"
    times = []
    for _ in range(5):
        start = children_seconds()
        subprocess.run([tool, "-q", "--threads=1", f"--metric={spec}", *files],
                       check=True, stdout=subprocess.DEVNULL)
        times.append(children_seconds() - start)
    return statistics.median(times)


def compare(name, spec, corpus, files):
    run, rate = PEERS[spec]
    hypotheses, references = corpus
    part = min(len(hypotheses), 10 * rate)
    start = time.process_time()
    run(hypotheses[:part], references[:part])
    theirs = (time.process_time() - start) * len(hypotheses) / part
    ours = our_seconds(spec, files)
    print(f"| {name} | `{spec}` | {theirs:.2f} | {ours:.3f} | {theirs / ours:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--e2e", type=pathlib.Path)
    parser.add_argument("--lines", type=int, default=100000)
    parser.add_argument("--metric", action="append", choices=list(PEERS))
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    print("| texts | metric | Python, s | nibble-score, s | ratio |\n|---|---|---|---|---|")
    specs = options.metric or list(PEERS)
    if options.e2e:
        files = [f"--references={options.e2e}/testset_w_refs.csv", options.e2e / "tgen.tsv"]
        for spec in specs:
            compare("E2E, 630 of 4,693 references", spec, e2e_corpus(options.e2e), files)
    with tempfile.TemporaryDirectory() as folder:
        corpus = made_corpus(options.lines)
        files = [f"--references={folder}/refs.txt", f"{folder}/out.txt"]
        pathlib.Path(folder, "out.txt").write_text("\n".join(corpus[0]) + "\n", encoding="utf-8")
        lines = "\n".join(own[0] for own in corpus[1]) + "\n"
        pathlib.Path(folder, "refs.txt").write_text(lines, encoding="utf-8")
        for spec in specs:
            compare(f"{options.lines:,} lines", spec, corpus, files)


main()
