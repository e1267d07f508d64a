#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""nibble-score beside scikit-learn, scipy, numpy and NLTK on classes, numbers, log-probabilities and
statistics of texts: seconds of CPU on one core, in two ways. The metric's own work in Python against
nibble-score's whole process (its start and the reading of its files included); and whole process
against whole process: a Python that imports what it needs, reads the same files and prints the scores.

  NIBBLE_BIN=build python3 tests/bench/score_class_peers.py [--e2e=DIR] [--lines=100000]

--e2e names a folder with testset_w_refs.csv and tgen.tsv: texts of its size and its texts. The corpus of
--lines is made here; where Python takes long, its seconds are of a part, scaled by lines (self-BLEU:
by their square, since every line is held against every other).
"""

import argparse
import json
import os
import pathlib
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time

TOOL = pathlib.Path(os.environ.get("NIBBLE_BIN", "build")).resolve() / "nibble-score"


def lines_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def classification(own, true):
    from sklearn import metrics

    return [metrics.accuracy_score(true, own), metrics.f1_score(true, own, pos_label="1"),
            metrics.f1_score(true, own, average="macro"), metrics.f1_score(true, own, average="micro"),
            metrics.matthews_corrcoef(true, own)]


def correlation(own, true):
    from scipy import stats

    own, true = list(map(float, own)), list(map(float, true))
    return [stats.pearsonr(own, true)[0], stats.spearmanr(own, true)[0]]


def perplexity(own, true):
    import numpy

    every = numpy.concatenate([numpy.array(p) for p in own])
    return [numpy.exp(-every.mean())]


def distinct(own, true):
    from nltk.util import ngrams

    out = []
    for n in range(1, 5):
        seen, count = set(), 0
        for line in own:
            for gram in ngrams(line.split(), n):
                seen.add(gram)
                count += 1
        out.append(len(seen) / count)
    return out


def self_bleu(own, true):
    from nltk.translate import bleu_score

    smooth = bleu_score.SmoothingFunction().method1
    words = [line.split() for line in own]
    rows = range(min(len(words), 2 if len(words) > 5000 else 40))
    start = time.process_time()
    total = 0.0
    for i in rows:
        total += bleu_score.sentence_bleu(words[:i] + words[i + 1 :], words[i], smoothing_function=smooth)
    # What the rows not computed would have taken.
    self_bleu.rest = (time.process_time() - start) * (len(words) / len(rows) - 1)
    return [total / len(rows)]


def nist(own, true):
    from nltk.translate import nist_score

    return [nist_score.corpus_nist([[r.split() for r in refs] for refs in true],
                                   [line.split() for line in own], n=5)]


def length(own, true):
    words = [len(line.split()) for line in own]
    theirs = [len(r.split()) for refs in true for r in refs]
    return [statistics.fmean(words), statistics.fmean(map(len, own)), statistics.fmean(theirs)]


PEERS = {"classification": classification, "correlation": correlation, "perplexity": perplexity,
         "distinct": distinct, "self-bleu": self_bleu, "mteval": nist, "length": length}


def read(metric, folder):
    """What the peer's process reads."""
    if metric == "perplexity":
        return [json.loads(line)["logprobs"] for line in lines_of(folder / "perplexity.jsonl")], None
    if metric in ("classification", "correlation"):
        return lines_of(folder / f"{metric}.own"), lines_of(folder / f"{metric}.true")
    true = [group.split("\n") for group in (folder / "refs.txt").read_text(encoding="utf-8").strip("\n").split("\n\n")]
    return lines_of(folder / "out.txt"), true


def command(metric, folder):
    files = {"classification": [folder / "classification.own", f"--references={folder}/classification.true"],
             "correlation": [folder / "correlation.own", f"--references={folder}/correlation.true"],
             "perplexity": [folder / "perplexity.jsonl"]}
    texts = [folder / "out.txt", f"--references={folder}/refs.txt", "--reference-layout=groups"]
    if metric in ("distinct", "self-bleu"):  # these look at what was written alone
        texts = [folder / "out.txt"]
    return [TOOL, "-q", "--threads=1", f"--metric={metric}", *files.get(metric, texts)]


def write_corpus(folder, hypotheses, references):
    folder.mkdir()
    draw = random.Random(4)
    count = len(hypotheses)
    write = lambda name, lines: (folder / name).write_text("".join(f"{x}\n" for x in lines), encoding="utf-8")
    write("out.txt", hypotheses)
    (folder / "refs.txt").write_text("\n\n".join("\n".join(own) for own in references) + "\n", encoding="utf-8")
    true = [draw.randint(0, 1) for _ in range(count)]
    write("classification.true", true)
    write("classification.own", [t if draw.random() < 0.8 else 1 - t for t in true])
    true = [draw.gauss(0, 1) for _ in range(count)]
    write("correlation.true", [f"{x:.6f}" for x in true])
    write("correlation.own", [f"{x + draw.gauss(0, 1):.6f}" for x in true])
    write("perplexity.jsonl", [json.dumps({"prediction": "", "logprobs": [
        round(-draw.expovariate(0.5), 6) for _ in range(20)]}) for _ in range(count)])


def seconds(command):
    """Of CPU, of a process and what it starts; and what it wrote."""
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    start = used()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return used() - start, done.stdout


def peer(metric, folder):
    """In a process of its own: its scores, the seconds of the metric's work, and what it left out."""
    own, true = read(metric, folder)
    PEERS[metric](own[:50], true and true[:50])  # imports
    self_bleu.rest = 0.0
    start = time.process_time()
    scores = PEERS[metric](own, true)
    print(json.dumps([list(map(float, scores)), time.process_time() - start, self_bleu.rest]))


def compare(title, folder, metric):
    # A Python killed or slow by chance counts for nobody: medians of three.
    runs, wholes = [], []
    for _ in range(3):
        took, text = seconds([sys.executable, __file__, f"--peer={metric}", f"--folder={folder}"])
        runs.append(json.loads(text))
        wholes.append(took + runs[-1][2])
        if took > 15:
            break
    work = statistics.median(r[1] + r[2] for r in runs)
    whole = statistics.median(wholes)
    ours = statistics.median(seconds(command(metric, folder))[0] for _ in range(5))
    print(f"| {title} | `{metric}` | {work:.4f} | {whole:.2f} | {ours:.4f} | {work / ours:.1f} | "
          f"{whole / ours:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--e2e", type=pathlib.Path)
    parser.add_argument("--lines", type=int, default=100000)
    parser.add_argument("--metric", action="append", choices=list(PEERS))
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if options.peer:
        return peer(options.peer, options.folder)
    from score_corpora import e2e_corpus, made_corpus

    print("| texts | metric | Python's work, s | its process, s | nibble-score, s | to work | to process |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        corpora = {f"{options.lines:,} lines": made_corpus(options.lines)}
        if options.e2e:
            corpora = {"E2E": e2e_corpus(options.e2e)} | corpora
        for i, (title, corpus) in enumerate(corpora.items()):
            folder = pathlib.Path(name, str(i))
            write_corpus(folder, *corpus)
            for metric in options.metric or PEERS:
                compare(title, folder, metric)


main()
