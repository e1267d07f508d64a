#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes metrics.json: scores of small corpora of many scripts by rouge-score 0.1.2, sacrebleu 2.6.0
and NLTK 3.10.4, and BLEU and NIST by mteval-v13a's definition written out anew below.

  python3 tests/score/golden/make_metrics.py > tests/score/golden/metrics.json
"""

import json
import math
import pathlib
import sys
import warnings
from collections import Counter

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "interop"))
warnings.filterwarnings("ignore")

from nltk.stem.porter import PorterStemmer  # noqa: E402
from nltk.translate import bleu_score  # noqa: E402
from rouge_score import rouge_scorer  # noqa: E402
from sacrebleu.metrics import BLEU, CHRF, TER  # noqa: E402
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a  # noqa: E402

from random_corpus import ALPHABETS, random_corpus  # noqa: E402

SACREBLEU = {
    "bleu": BLEU(),
    "bleu:tokenize=intl": BLEU(tokenize="intl"),
    "bleu:tokenize=char": BLEU(tokenize="char"),
    "bleu:tokenize=none:smooth=add-k": BLEU(tokenize="none", smooth_method="add-k"),
    "bleu:smooth=floor:lowercase": BLEU(smooth_method="floor", lowercase=True),
    "chrf": CHRF(),
    "chrf++:lowercase": CHRF(word_order=2, lowercase=True),
    "ter": TER(),
    "ter:normalized:asian-support": TER(normalized=True, asian_support=True),
}
STEMS = (
    "caresses flies dies mules denied died agreed owned humbled sized meeting stating siezing itemization "
    "sensational traditional reference colonizer plotted geology joyfully enjoyment sky skies dying news "
    "innings yyyy syzygy rational alli bali happily spy enjoy aed eed ied logi ologi ll controll ffed"
)


def columns(references):
    most = max(map(len, references))
    return [[r[i] if i < len(r) else None for r in references] for i in range(most)]


def grams(words, n):
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def mteval(hypotheses, references):
    """(BLEU, NIST): Papineni et al. (2002), Doddington (2002)."""
    tokenize = Tokenizer13a()
    lower = str.maketrans({chr(c): chr(c + 32) for c in range(65, 91)})
    words = lambda text: tokenize(text).translate(lower).split()  # noqa: E731
    hypotheses = [words(h) for h in hypotheses]
    references = [[words(r) for r in own] for own in references]
    seen, total = Counter(), 0
    for own in references:
        for r in own:
            total += len(r)
            for n in range(1, 6):
                seen.update(grams(r, n))
    match, count, information, closest = [0] * 5, [0] * 5, [0.0] * 5, 0
    for h, own in zip(hypotheses, references):
        closest += min((abs(len(r) - len(h)), len(r)) for r in own)[1]
        for n in range(1, 6):
            most = Counter()
            for r in own:
                most |= grams(r, n)
            count[n - 1] += sum(grams(h, n).values())
            for gram, times in (grams(h, n) & most).items():
                whole = seen[gram[:-1]] if n > 1 else total
                match[n - 1] += times
                information[n - 1] += times * math.log2(whole / seen[gram])
    length = count[0]
    logs, halving = 0.0, 1
    for m, c in zip(match[:4], count[:4]):
        if m == 0:
            halving *= 2
        logs += math.log(m / c if m else 1 / (halving * c))
    bleu = math.exp(logs / 4 + min(0.0, 1 - closest / length))
    mean = total / sum(map(len, references)) * len(references)
    beta = -math.log(0.5) / math.log(1.5) ** 2
    penalty = math.exp(-beta * math.log(min(1.0, length / mean)) ** 2)
    return bleu, penalty * sum(i / max(1, c) for i, c in zip(information, count))


def scores(hypotheses, references):
    """{metric: {score: [of the corpus, of each example]}}"""
    out = {}
    for spec, metric in SACREBLEU.items():
        corpus = metric.corpus_score(hypotheses, columns(references)).score
        if spec.startswith("bleu"):
            metric.effective_order = True
        each = [metric.sentence_score(h, r).score for h, r in zip(hypotheses, references)]
        if spec.startswith("bleu"):
            metric.effective_order = False
        out[spec] = {spec.split(":")[0]: [corpus, each]}
    for stem in (False, True):
        kinds = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
        scorer = rouge_scorer.RougeScorer(kinds, use_stemmer=stem)
        all_scores = [scorer.score_multi(r, h) for h, r in zip(hypotheses, references)]
        out["rouge:stem" if stem else "rouge"] = {
            kind + suffix: [sum(each) / len(each), each]
            for kind in kinds
            for suffix, part in (("", "fmeasure"), ("_precision", "precision"), ("_recall", "recall"))
            for each in [[float(getattr(s[kind], part)) for s in all_scores]]
        }
    for method in (0, 1, 2, 3, 4, 5, 7):
        smoothing = getattr(bleu_score.SmoothingFunction(), f"method{method}")
        each = [
            float(bleu_score.sentence_bleu([r.split() for r in own], h.split(), smoothing_function=smoothing))
            for h, own in zip(hypotheses, references)
        ]
        out[f"nltk-bleu:smooth=method{method}"] = {"sentence_bleu": [sum(each) / len(each), each]}
    bleu, nist = mteval(hypotheses, references)
    out["mteval"] = {"mteval_bleu": [bleu, None], "nist": [nist, None]}
    return out


def main():
    corpora = []
    for seed, script in enumerate(sorted(ALPHABETS)):
        hypotheses, references = random_corpus(script, 10, seed + 100)
        corpora.append(
            {
                "script": script,
                "hypotheses": hypotheses,
                "references": references,
                "scores": scores(hypotheses, references),
            }
        )
    stemmer = PorterStemmer()
    stems = {word: stemmer.stem(word) for word in STEMS.split()}
    print(json.dumps({"stems": stems, "corpora": corpora}, ensure_ascii=False, separators=(",", ":")))


main()
