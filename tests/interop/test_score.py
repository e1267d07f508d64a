# SPDX-License-Identifier: Apache-2.0
"""nibble-score against rouge-score, sacrebleu and NLTK: corpus and example scores on random text of
many scripts, hostile corners, and the published data; significance at sacrebleu's own draws."""

import csv
import json
import math
import random

import numpy
import pytest
from nltk.translate import bleu_score
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest

from common import DATA, run
from nibble_score import score_texts
from random_corpus import ALPHABETS, random_corpus

CLOSE = dict(rel=1e-9, abs=1e-9)


def columns(references):
    """sacrebleu's references: the first of all examples, the second, ...; None where there is none."""
    most = max(map(len, references))
    return [[r[i] if i < len(r) else None for r in references] for i in range(most)]


@pytest.fixture(scope="module", params=sorted(ALPHABETS) + ["data"])
def corpus(request):
    if request.param != "data":
        return random_corpus(request.param, 30, seed=sorted(ALPHABETS).index(request.param))
    if DATA is None:
        pytest.skip("needs NIBBLE_DATA")
    references = {}
    with open(DATA / "metrics/e2e/testset_w_refs.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            references.setdefault(row["mr"], []).append(row["ref"])
    with open(DATA / "metrics/e2e/tgen.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))[:60]
    return [row["output"] for row in rows], [references[row["MR"]] for row in rows]


BLEUS = {
    "bleu": {},
    "bleu:tokenize=intl": dict(tokenize="intl"),
    "bleu:tokenize=char": dict(tokenize="char"),
    "bleu:tokenize=none": dict(tokenize="none"),
    "bleu:smooth=floor": dict(smooth_method="floor"),
    "bleu:smooth=floor:smooth-value=0.25": dict(smooth_method="floor", smooth_value=0.25),
    "bleu:smooth=add-k": dict(smooth_method="add-k"),
    "bleu:smooth=none": dict(smooth_method="none"),
    "bleu:lowercase": dict(lowercase=True),
    "bleu:effective-order": dict(effective_order=True),
    "bleu:order=2": dict(max_ngram_order=2),
}
CHRFS = {
    "chrf": {},
    "chrf++": dict(word_order=2),
    "chrf:lowercase": dict(lowercase=True),
    "chrf++:whitespace:beta=3": dict(word_order=2, whitespace=True, beta=3),
    "chrf++:eps-smoothing": dict(word_order=2, eps_smoothing=True),
    "chrf:char-order=3": dict(char_order=3),
}
TERS = {
    "ter": {},
    "ter:normalized": dict(normalized=True),
    "ter:no-punct:case-sensitive": dict(no_punct=True, case_sensitive=True),
    "ter:normalized:no-punct:asian-support": dict(
        normalized=True, no_punct=True, asian_support=True
    ),
}


def sacrebleu_metric(spec):
    for table, kind in ((BLEUS, BLEU), (CHRFS, CHRF), (TERS, TER)):
        if spec in table:
            return kind(**table[spec])
    raise KeyError(spec)


@pytest.mark.parametrize("spec", [*BLEUS, *CHRFS, *TERS])
def test_sacrebleu(spec, corpus, tmp_path):
    hypotheses, references = corpus
    report, each = score_texts(spec, hypotheses, references, tmp_path)
    metric = sacrebleu_metric(spec)
    want = metric.corpus_score(hypotheses, columns(references))
    name = spec.split(":")[0]
    got = report["metrics"][0]
    assert got["scores"][name] == pytest.approx(want.score, **CLOSE)
    assert got["signature"] == metric.get_signature().format()
    if name == "bleu":
        for n, precision in enumerate(want.precisions, 1):
            assert got["scores"][f"precision_{n}"] == pytest.approx(precision, **CLOSE)
        assert got["scores"]["brevity_penalty"] == pytest.approx(want.bp, **CLOSE)
        assert got["scores"]["hypothesis_length"] == want.sys_len
        assert got["scores"]["reference_length"] == want.ref_len
        metric.effective_order = True  # as sacrebleu's own --sentence-level has it
    for line, hypothesis, own in zip(each, hypotheses, references):
        want = metric.sentence_score(hypothesis, own).score
        assert line[name] == pytest.approx(want, **CLOSE), (hypothesis, own)


@pytest.mark.parametrize("stem", [False, True])
def test_rouge(stem, corpus, tmp_path):
    hypotheses, references = corpus
    kinds = ["rouge1", "rouge2", "rouge3", "rougeL", "rougeLsum"]
    spec = "rouge:types=1/2/3/L/Lsum" + (":stem" if stem else "")
    report, each = score_texts(spec, hypotheses, references, tmp_path)
    scorer = rouge_scorer.RougeScorer(kinds, use_stemmer=stem)
    scores = [scorer.score_multi(r, h) for h, r in zip(hypotheses, references)]
    for kind in kinds:
        for suffix, part in (("", "fmeasure"), ("_precision", "precision"), ("_recall", "recall")):
            want = [getattr(s[kind], part) for s in scores]
            for line, value, h, r in zip(each, want, hypotheses, references):
                assert line[kind + suffix] == pytest.approx(value, **CLOSE), (h, r)
            got = report["metrics"][0]["scores"][kind + suffix]
            assert got == pytest.approx(numpy.mean(want), **CLOSE)


def nltk_sentence(method, hypothesis, references, **options):
    smoothing = getattr(bleu_score.SmoothingFunction(), method)
    return bleu_score.sentence_bleu(
        [r.split() for r in references], hypothesis.split(), smoothing_function=smoothing, **options
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", [f"method{n}" for n in (0, 1, 2, 3, 4, 5, 7)])
@pytest.mark.parametrize("reweigh", [False, True])
def test_nltk_sentence_bleu(method, reweigh, corpus, tmp_path):
    hypotheses, references = corpus
    spec = f"nltk-bleu:smooth={method}" + (":auto-reweigh" if reweigh else "")
    report, each = score_texts(spec, hypotheses, references, tmp_path)
    want = [
        nltk_sentence(method, h, r, auto_reweigh=reweigh) for h, r in zip(hypotheses, references)
    ]
    for line, value, h, r in zip(each, want, hypotheses, references):
        assert line["sentence_bleu"] == pytest.approx(value, **CLOSE), (h, r)
    mean = report["metrics"][0]["scores"]["sentence_bleu"]
    assert mean == pytest.approx(sum(want) / len(want), **CLOSE)


@pytest.mark.filterwarnings("ignore")
def test_nltk_method6_and_weights(corpus, tmp_path):
    pairs = []
    for h, r in zip(*corpus):
        try:
            pairs.append((h, r, nltk_sentence("method6", h, r)))
        except AssertionError:  # no trigram matches
            continue
    if pairs:
        hypotheses, references, want = map(list, zip(*pairs))
        _, each = score_texts("nltk-bleu:smooth=method6", hypotheses, references, tmp_path)
        for line, value in zip(each, want):
            assert line["sentence_bleu"] == pytest.approx(value, **CLOSE)
    weights = (0.1, 0.2, 0.3, 0.2, 0.1, 0.1)
    spec = "nltk-bleu:smooth=method1:weights=" + "/".join(map(str, weights))
    _, each = score_texts(spec, *corpus, tmp_path)
    for line, h, r in zip(each, *corpus):
        want = nltk_sentence("method1", h, r, weights=weights)
        assert line["sentence_bleu"] == pytest.approx(want, **CLOSE)


@pytest.mark.filterwarnings("ignore")
def test_diversity(corpus, tmp_path):
    hypotheses, references = corpus
    spec = "distinct,self-bleu,length"
    report, each = score_texts(spec, hypotheses, references, tmp_path)
    scores = {k: v for m in report["metrics"] for k, v in m["scores"].items()}
    words = [h.split() for h in hypotheses]
    for n in range(1, 5):
        grams = [[tuple(w[i : i + n]) for i in range(len(w) - n + 1)] for w in words]
        flat = [g for own in grams for g in own]
        want = len(set(flat)) / len(flat) if flat else None
        assert scores[f"distinct{n}"] == (pytest.approx(want, **CLOSE) if flat else None)
        for line, own in zip(each, grams):
            want = pytest.approx(len(set(own)) / len(own), **CLOSE) if own else None
            assert line[f"distinct{n}"] == want
    total = 0
    for i, line in enumerate(each):
        others = [" ".join(w) for w in words[:i] + words[i + 1 :]]
        want = nltk_sentence("method1", hypotheses[i], others)
        assert line["self_bleu"] == pytest.approx(want, **CLOSE)
        total += want
        assert line["words"] == len(words[i]) and line["characters"] == len(hypotheses[i])
    assert scores["self_bleu"] == pytest.approx(total / len(words), **CLOSE)


@pytest.mark.parametrize("test", ["ar", "bs"])
@pytest.mark.parametrize("spec", ["bleu", "chrf", "ter"])
def test_significance(test, spec, tmp_path, monkeypatch):
    """The p-values, and the means and ends of intervals, at the seed's own draws."""
    seed, trials = 12345, 300
    monkeypatch.setenv("SACREBLEU_SEED", str(seed))
    hypotheses, references = random_corpus("latin", 50, seed=7)
    others = random_corpus("latin", 50, seed=8)[0][:20] + hypotheses[20:]
    references = [r[:1] for r in references]
    kind = {"bleu": BLEU, "chrf": CHRF, "ter": TER}[spec]
    metric = kind(references=columns(references))
    paired = PairedTest(
        [("baseline", others), ("system", hypotheses)], {spec: metric}, None, test, trials
    )
    signatures, scores = paired()
    (name,) = (k for k in scores if k != "System")
    baseline, system = scores[name]
    options = [f"--bootstrap={trials}", f"--seed={seed}", f"--trials={trials}"]
    options.append("--test=" + {"ar": "randomization", "bs": "bootstrap"}[test])
    report, _ = score_texts(spec, hypotheses, references, tmp_path, others, options)
    got = report["metrics"][0]
    assert got["scores"][spec] == pytest.approx(system.score, **CLOSE)
    assert got["against"][spec] == pytest.approx(baseline.score, **CLOSE)
    assert got["p"][spec] == pytest.approx(system.p_value, **CLOSE)
    # sacrebleu resamples in float32, of which all after the sums of counts takes part.
    close = dict(rel=2.0**-21)
    want = kind().corpus_score(hypotheses, columns(references), n_bootstrap=trials)
    interval = got["intervals"][spec]
    assert interval["mean"] == pytest.approx(want._mean, **close)
    # A difference of two such ends.
    assert (interval["high"] - interval["low"]) / 2 == pytest.approx(want._ci, rel=2.0**-16)
    if test == "bs":
        assert got["signature"] == str(signatures[name])


def test_lower_case(tmp_path):
    """Python's: the reference is in lower case already."""
    draw = random.Random(5)
    letters = "ΣσςΑαΆa B.':·’\u0301\u00adʰªⅫⓐ🅰İIıKÅẞßǅﬀ0 中\u2024Ⴀꭰ"
    texts = ["".join(draw.choices(letters, k=draw.randint(1, 12))) for _ in range(4000)]
    texts = [t for t in texts if t.split()]
    _, each = score_texts("chrf:lowercase", texts, [[t.lower()] for t in texts], tmp_path)
    assert [t for t, line in zip(texts, each) if line["chrf"] < 99.999] == []


def test_very_long_texts(tmp_path):
    draw = random.Random(3)
    words = [f"w{n}" for n in range(40)]
    text = [" ".join(draw.choices(words, k=n)) for n in (1, 700, 1500)]
    hypotheses, references = [text[1], text[2], text[0], ""], [[text[2]], [text[1]], [text[2]], [""]]
    for spec in ("bleu", "chrf++"):
        report, _ = score_texts(spec, hypotheses, references, tmp_path)
        want = sacrebleu_metric(spec).corpus_score(hypotheses, columns(references)).score
        assert report["metrics"][0]["scores"][spec] == pytest.approx(want, **CLOSE)
    report, each = score_texts("rouge", hypotheses, references, tmp_path)
    scorer = rouge_scorer.RougeScorer(["rouge1", "rougeL", "rougeLsum"])
    for line, h, r in zip(each, hypotheses, references):
        for kind, want in scorer.score(r[0], h).items():
            assert line[kind] == pytest.approx(want.fmeasure, **CLOSE)


def test_published_figures():
    """The E2E challenge's own, of its own scorer; and the known examples of ROUGE and NLTK's BLEU."""
    if DATA is None:
        pytest.skip("needs NIBBLE_DATA")
    e2e = DATA / "metrics/e2e"
    for system, bleu, nist in (("tgen", 0.6593, 8.6094), ("slug", 0.6619, 8.6130)):
        report = json.loads(
            run("nibble-score", "--metric=mteval", f"--references={e2e}/testset_w_refs.csv",
                e2e / f"{system}.tsv", "--json")
        )
        scores = report["metrics"][0]["scores"]
        assert round(scores["mteval_bleu"], 4) == bleu and round(scores["nist"], 4) == nist
