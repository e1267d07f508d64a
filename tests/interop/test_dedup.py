# SPDX-License-Identifier: Apache-2.0
"""nibble-dedup against plain Python sets, datasketch and rouge-score."""

import json
import random
import re

import datasketch
import pytest
from rouge_score import rouge_scorer

from common import DATA, run

WORDS = [a + b for a in ("ka", "lo", "mi", "ne", "po", "ru", "sa", "ti") for b in
         ("", "n", "r", "st", "la", "vo", "gen", "dor", "mek", "bi")]


def texts_around(count, seed):
    """Texts of random words, some of them earlier ones with a few words changed."""
    rng = random.Random(seed)
    texts = []
    for _ in range(count):
        if texts and rng.random() < 0.4:
            words = rng.choice(texts).split()
            for _ in range(rng.randrange(1, 4)):
                words[rng.randrange(len(words))] = rng.choice(WORDS)
        else:
            words = [rng.choice(WORDS) for _ in range(rng.randrange(4, 60))]
        texts.append(" ".join(words))
    return texts


def write(path, texts, field="text"):
    path.write_text("".join(json.dumps({field: text}) + "\n" for text in texts))


def removed(path):
    """{line: (line of the record it is like, how much)}, 0-based."""
    found = {}
    for line in path.read_text().splitlines():
        r = json.loads(line)
        at, of = (int(r[key].rsplit(":", 1)[1]) - 1 for key in ("place", "of"))
        found[at] = of, r.get("jaccard", r.get("rouge_l"))
    return found


def shingles(text, n=3):
    words = re.findall("[a-z0-9]+", text.lower())
    return {tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))} if words else set()


def jaccard(a, b):
    return len(a & b) / len(a | b) if a or b else 0.0


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9])
def test_near_duplicates_are_exact_and_nearly_all(tmp_path, threshold):
    texts = texts_around(4000, 1)
    write(tmp_path / "texts.jsonl", texts)
    run("nibble-dedup", tmp_path / "texts.jsonl", "--no-exact", f"--near={threshold}",
        "--removed", tmp_path / "removed.jsonl", "-o", tmp_path / "kept.jsonl")
    ours = removed(tmp_path / "removed.jsonl")
    sets = [shingles(text) for text in texts]
    for at, (of, similarity) in ours.items():
        assert of < at and of not in ours
        assert similarity == jaccard(sets[at], sets[of]) >= threshold

    # What should have gone: each text that is like one that was kept before it.
    by_shingle, missed = {}, 0
    for i, s in enumerate(sets):
        if i in ours:
            continue
        others = {j for shingle in s for j in by_shingle.get(shingle, ())}
        missed += any(jaccard(s, sets[j]) >= threshold for j in others)
        for shingle in s:
            by_shingle.setdefault(shingle, []).append(i)
    recall = len(ours) / (len(ours) + missed)
    print(f"threshold {threshold}: {len(ours)} near duplicates found, {missed} missed, recall {recall:.4f}")
    assert len(ours) > 50 and recall >= 0.98


def test_near_duplicates_are_datasketchs(tmp_path):
    texts, threshold = texts_around(3000, 2), 0.8
    write(tmp_path / "texts.jsonl", texts)
    run("nibble-dedup", tmp_path / "texts.jsonl", "--no-exact", f"--near={threshold}",
        "--removed", tmp_path / "removed.jsonl", "-o", tmp_path / "kept.jsonl")
    ours = set(removed(tmp_path / "removed.jsonl"))
    lsh = datasketch.MinHashLSH(threshold=threshold, num_perm=128)
    sets, theirs = [shingles(text) for text in texts], set()
    for i, s in enumerate(sets):
        minhash = datasketch.MinHash(num_perm=128)
        minhash.update_batch([" ".join(shingle).encode() for shingle in s])
        if any(jaccard(s, sets[j]) >= threshold for j in lsh.query(minhash)):
            theirs.add(i)
        else:
            lsh.insert(i, minhash)
    both = len(ours & theirs)
    print(f"nibble {len(ours)}, datasketch, verified, {len(theirs)}, both {both}")
    assert len(ours) >= len(theirs) * 0.99


@pytest.mark.parametrize("threshold", [0.4, 0.7])
def test_novelty_is_rouge_scores(tmp_path, threshold):
    texts = texts_around(350, 3)
    if DATA:
        rows = json.loads((DATA / "instructions" / "alpaca_5000.json").read_text())
        texts += [row["instruction"] for row in rows[:250]] + [row["input"] for row in rows[:100]]
    write(tmp_path / "texts.jsonl", texts)
    run("nibble-dedup", tmp_path / "texts.jsonl", "--no-exact", f"--novelty={threshold}",
        "--removed", tmp_path / "removed.jsonl", "-o", tmp_path / "kept.jsonl")
    ours = removed(tmp_path / "removed.jsonl")
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    # Beyond ASCII, rouge-score drops letters, which nibble keeps.
    kept, compared = [], 0
    for i, text in enumerate(texts):
        best = {j: scorer.score(texts[j], text)["rougeL"].fmeasure for j in kept
                if text.isascii() and texts[j].isascii()}
        near = [j for j, f in best.items() if f >= threshold - 1e-12]
        if text.isascii():
            if i in ours:
                of, f = ours[i]
                if texts[of].isascii():
                    assert of == near[0] and abs(f - best[of]) < 1e-12
                    compared += 1
            else:
                assert not near
        if i not in ours:
            kept.append(i)
    print(f"threshold {threshold}: {compared} of {len(texts)} not novel, each like rouge-score's first")
    assert compared > 50


def test_contamination_is_that_of_word_sets(tmp_path):
    rng = random.Random(4)
    bench = [" ".join(rng.choice(WORDS) for _ in range(rng.randrange(5, 30))) for _ in range(200)]
    texts = texts_around(1500, 5)
    for i in range(0, len(texts), 7):  # a stretch of a benchmark within
        words, at = rng.choice(bench).split(), rng.randrange(12)
        texts[i] += ", " + " ".join(words[at : at + rng.randrange(6, 20)]).title()
    write(tmp_path / "bench.jsonl", bench, "question")
    write(tmp_path / "texts.jsonl", texts)
    run("nibble-dedup", tmp_path / "texts.jsonl", "--no-exact", "--against", tmp_path / "bench.jsonl",
        "--ngram=10", "--removed", tmp_path / "removed.jsonl", "-o", tmp_path / "kept.jsonl")
    ours = set(removed(tmp_path / "removed.jsonl"))
    grams = {}
    for text in bench:
        length = min(10, len(text.split()))
        if length >= 8:
            grams.setdefault(length, set()).update(shingles(text, length))
    theirs = {i for i, text in enumerate(texts) if
              any(shingles(text, n) & known for n, known in grams.items())}
    assert ours == theirs and 20 < len(ours) < len(texts) / 2
