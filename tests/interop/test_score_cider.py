# SPDX-License-Identifier: Apache-2.0
"""CIDEr as its paper defines it (Vedantam et al. 2015, section 4), times ten as its later forms are:
pycocoevalcap 1.2 has CIDEr-D alone. And CIDEr-D by the package's scorer, without Java, at the same
texts split at spaces."""

import collections
import math
import random

import pytest
from pycocoevalcap.cider.cider_scorer import CiderScorer

from nibble_score import score_texts
from random_corpus import ALPHABETS

CLOSE = dict(rel=1e-9, abs=1e-9)


def ngrams(text, n):
    words = text.split()
    return collections.Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def cider(hypotheses, references, longest=4):
    """The mean over n of the mean cosine with each reference; an n-gram weighs its share of the
    text's n-grams times the logarithm of all images over those whose references have it."""
    each = [0.0] * len(hypotheses)
    for n in range(1, longest + 1):
        images = collections.Counter(g for own in references for g in set().union(*(ngrams(r, n) for r in own)))

        def vector(text):
            counts = ngrams(text, n)
            total = sum(counts.values())
            return {g: c / total * math.log(len(references) / max(1, images[g])) for g, c in counts.items()}

        for i, (hypothesis, own) in enumerate(zip(hypotheses, references)):
            h = vector(hypothesis)
            for reference in own:
                r = vector(reference)
                norms = math.hypot(*h.values()) * math.hypot(*r.values())
                if norms > 0:
                    dot = math.fsum(w * r.get(g, 0.0) for g, w in h.items())
                    each[i] += 10 * dot / norms / len(own) / longest
    return each


def corpus_of(script, seed):
    draw = random.Random(seed)
    words = [w for w in ALPHABETS[script].split(" ") if w.split() == [w]][:40]
    text = lambda most: " ".join(draw.choices(words, k=draw.randint(1, most)))
    references = [[text(14) for _ in range(draw.randint(1, 5))] for _ in range(80)]
    hypotheses = [draw.choice([draw.choice(own), text(14), draw.choice(own) + " " + text(3)])
                  for own in references]
    return hypotheses, references


@pytest.mark.parametrize("script", sorted(ALPHABETS))
def test_plain_and_d(script, tmp_path):
    hypotheses, references = corpus_of(script, seed=11)
    report, each = score_texts("cider-plain:tokenize=none,cider:tokenize=none", hypotheses, references, tmp_path)
    want = {"cider_plain": cider(hypotheses, references)}
    theirs = CiderScorer()
    for hypothesis, own in zip(hypotheses, references):
        theirs += (hypothesis, own)
    want["cider"] = list(map(float, theirs.compute_score()[1]))
    for metric in report["metrics"]:
        ((name, score),) = metric["scores"].items()
        assert score == pytest.approx(sum(want[name]) / len(hypotheses), **CLOSE)
        assert [line[name] for line in each] == pytest.approx(want[name], **CLOSE)
        assert 0.1 < score < 10
