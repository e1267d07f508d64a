#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""nibble-score beside pycocoevalcap (Java for tokens and METEOR), NLTK's METEOR, lm-eval's gsm8k and
SQuAD's definitions in Python, on one core each: seconds for the same scores of the same texts, the
whole process of nibble-score against the peers' own work (Python's start and imports left out; Java's
start and METEOR's loading of its tables, which every use of it pays, counted). Seconds are of CPU, but
of the clock where a peer is Java.

  NIBBLE_BIN=build taskset -c 0 python3 tests/bench/score_caption_peers.py [--e2e=DIR] [--lines=100000]

--e2e names a folder with testset_w_refs.csv and tgen.tsv. The corpus of --lines is made here; of it
the peers score a part, and their seconds, but for those of starting, are scaled by lines.
"""

import argparse
import gzip
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "interop"))

import pycocoevalcap.meteor.meteor as meteor_module  # noqa: E402
from pycocoevalcap.cider.cider import Cider  # noqa: E402
from pycocoevalcap.rouge.rouge import Rouge  # noqa: E402
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer  # noqa: E402

import answer_scorers  # noqa: E402
from score_corpora import e2e_corpus, made_corpus  # noqa: E402


def timed(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def tokenized(texts):
    return PTBTokenizer().tokenize({i: [{"caption": c} for c in own] for i, own in enumerate(texts)})


def coco_peer(make):
    """Seconds of starting, and of the work."""

    def run(hypotheses, references):
        tokens_start, _ = timed(lambda: tokenized([["a"]]))
        scorer_start, scorer = timed(make)
        warm, _ = timed(lambda: scorer.compute_score({0: ["a"]}, {0: ["a"]}))
        work, _ = timed(
            lambda: scorer.compute_score(tokenized(references), tokenized([[h] for h in hypotheses]))
        )
        return 2 * tokens_start + scorer_start + warm, work - 2 * tokens_start

    return run


def answer_peer(scorer):
    def run(hypotheses, references):
        examples = [{"hypothesis": h, "references": r} for h, r in zip(hypotheses, references)]
        start = time.process_time()
        scorer(examples)
        return 0.0, time.process_time() - start

    return run


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def our_seconds(spec, files):
    tool = pathlib.Path(os.environ.get("NIBBLE_BIN", "build")) / "nibble-score"
    command = [tool, "-q", "--threads=1", f"--metric={spec}", *files]
    times = []
    for _ in range(5):
        start = children_seconds()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(children_seconds() - start)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--e2e", type=pathlib.Path)
    parser.add_argument("--lines", type=int, default=100000)
    parser.add_argument("--part", type=int, default=3000, help="lines of those that peers score")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        package = pathlib.Path(meteor_module.__file__).parent
        with zipfile.ZipFile(package / meteor_module.METEOR_JAR) as jar:
            jar.extractall(folder / "jar")
        with gzip.open(package / "data/paraphrase-en.gz") as packed:
            with open(folder / "paraphrase-en", "wb") as plain:
                shutil.copyfileobj(packed, plain)
        answers = answer_scorers.all_scorers(folder)
        peers = {
            "coco-rouge-l": coco_peer(Rouge),
            "cider": coco_peer(Cider),
            f"meteor-1.5:jar={folder}/jar:paraphrases={folder}/paraphrase-en": coco_peer(
                meteor_module.Meteor
            ),
        } | {n: answer_peer(answers[n]) for n in ("meteor-nltk", "squad", "gsm8k") if n in answers}
        made = made_corpus(options.lines)
        for path, lines in ("out.txt", made[0]), ("refs.txt", [own[0] for own in made[1]]):
            (folder / path).write_text("\n".join(lines) + "\n", encoding="utf-8")
        corpora = [(f"{options.lines:,} lines", made, options.part,
                    [f"--references={folder}/refs.txt", folder / "out.txt"])]
        if options.e2e:
            files = [f"--references={options.e2e}/testset_w_refs.csv", options.e2e / "tgen.tsv"]
            corpora.insert(0, ("E2E, 630 of 4,693 references", e2e_corpus(options.e2e), 630, files))
        print("| texts | metric | peer, s | nibble-score, s | ratio |\n|---|---|---|---|---|")
        for title, (hypotheses, references), part, files in corpora:
            for spec, peer in peers.items():
                start, work = peer(hypotheses[:part], references[:part])
                theirs = start + work * len(hypotheses) / min(part, len(hypotheses))
                ours = our_seconds(spec, files)
                short = spec.split("=")[0].removesuffix(":jar")
                print(f"| {title} | `{short}` | {theirs:.2f} | {ours:.3f} | {theirs / ours:.0f} |",
                      flush=True)


main()
