# SPDX-License-Identifier: Apache-2.0
"""nibble-score against NLTK's METEOR over WordNet, SQuAD's definitions, lm-eval's gsm8k,
scikit-learn and scipy, on random examples of many scripts and on published texts."""

import json
import math
import random

import pytest

import answer_scorers
from common import DATA, run
from random_corpus import ALPHABETS

CLOSE = dict(rel=1e-9, abs=1e-9)


@pytest.fixture(scope="module")
def scorers(tmp_path_factory):
    return answer_scorers.all_scorers(tmp_path_factory.mktemp("wordnet"))


def score(spec, examples, folder):
    """The corpus scores and each example's, by nibble-score."""
    with open(folder / "out.jsonl", "w", encoding="utf-8") as file:
        for e in examples:
            print(json.dumps({"prediction": e["hypothesis"]} | e.get("record", {})), file=file)
    with open(folder / "refs.jsonl", "w", encoding="utf-8") as file:
        for e in examples:
            print(json.dumps({"references": e["references"]}), file=file)
    references = [] if spec == "perplexity" else [f"--references={folder}/refs.jsonl"]
    report = json.loads(run("nibble-score", f"--metric={spec}", folder / "out.jsonl", "--json",
                            f"--each={folder}/each.jsonl", *references))
    with open(folder / "each.jsonl", encoding="utf-8") as file:
        return report["metrics"][0]["scores"], [json.loads(line) for line in file]


def compare(scorer, spec, examples, folder):
    want, want_each = scorer(examples)
    got, each = score(spec, examples, folder)
    assert {name: got[name] for name in want} == pytest.approx(want, **CLOSE)
    for ours, theirs, e in zip(each, want_each, examples, strict=True):
        assert {name: ours[name] for name in theirs} == pytest.approx(theirs, **CLOSE), e


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "spec",
    ["meteor-nltk", "squad", "squad-v2", "squad-v2:na-prob=na_prob",
     "squad-v2:na-prob=na_prob:threshold=0.4", "gsm8k", "classification",
     "classification:positive=not entailed", "correlation", "perplexity"],
)
def test_random_examples(spec, seed, scorers, tmp_path):
    if spec not in scorers:
        pytest.skip("needs wordnet-base")
    draw = random.Random(seed)
    compare(scorers[spec], spec, answer_scorers.examples_for(spec, draw, 300), tmp_path)


@pytest.mark.parametrize("script", sorted(ALPHABETS))
@pytest.mark.parametrize("spec", ["meteor-nltk", "squad", "squad-v2"])
def test_scripts(spec, script, scorers, tmp_path):
    if spec not in scorers:
        pytest.skip("needs wordnet-base")
    draw = random.Random(7)
    words = ALPHABETS[script].split(" ") + ["the", "a", "A.", "an"]
    text = lambda: draw.choice([" ", " ", ""]).join(draw.choices(words, k=draw.randint(0, 8)))
    examples = []
    for _ in range(100):
        first = text()
        examples.append({"hypothesis": draw.choice([first, text()]), "references": [first, text()]})
    examples.append({"hypothesis": "", "references": [""]})  # one without an answer
    compare(scorers[spec], spec, examples, tmp_path)


@pytest.mark.skipif(DATA is None, reason="needs NIBBLE_DATA")
def test_nltk_meteor_on_published_texts(scorers, tmp_path):
    if "meteor-nltk" not in scorers:
        pytest.skip("needs wordnet-base")
    folder = DATA / "metrics/nlg-eval"
    read = lambda name: (folder / name).read_text(encoding="utf-8").splitlines()
    examples = [
        {"hypothesis": hyp, "references": refs}
        for hyp, *refs in zip(read("hyp.txt"), read("ref1.txt"), read("ref2.txt"))
    ]
    lines = read("../e2e/devel-conc.txt")
    groups = [group.splitlines() for group in "\n".join(lines).split("\n\n")]
    examples += [
        {"hypothesis": hyp, "references": group}
        for hyp, group in zip(read("../e2e/baseline-output.txt"), groups)
    ]
    compare(scorers["meteor-nltk"], "meteor-nltk", examples, tmp_path)


def test_every_word_of_wordnet_finds_its_synonyms(scorers, tmp_path):
    """METEOR of one word against one of its synonyms is 0.5 where they match: for thousands."""
    if "meteor-nltk" not in scorers:
        pytest.skip("needs wordnet-base")
    from nltk.corpus import wordnet

    draw = random.Random(9)
    lemmas = draw.sample(sorted(w for w in wordnet.all_lemma_names() if "_" not in w), 4000)
    inflect = lambda w: w + draw.choice(["", "", "s", "es", "ed", "ing", "er", "est"])
    examples = []
    for lemma in lemmas:
        names = sorted({n for s in wordnet.synsets(lemma) for n in s.lemma_names()})
        examples.append({"hypothesis": inflect(lemma), "references": [draw.choice(names or ["x"])]})
    compare(scorers["meteor-nltk"], "meteor-nltk", examples, tmp_path)


def test_undefined_scores_are_null(tmp_path):
    same = [{"hypothesis": "1", "references": [str(i)]} for i in range(3)]
    got, _ = score("correlation", same, tmp_path)
    assert got["pearson"] is None and got["spearman"] is None
    assert math.isclose(score("classification", same, tmp_path)[0]["accuracy"], 1 / 3)
