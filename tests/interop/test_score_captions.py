# SPDX-License-Identifier: Apache-2.0
"""nibble-score against pycocoevalcap 1.2 and its jars (Java): the Penn Treebank tokenizer, state by
state and on text of many scripts; ROUGE_L, CIDEr and METEOR 1.5 with all its resources on E2E's
outputs, and on random corpora."""

import collections
import csv
import gzip
import pathlib
import random
import re
import shutil
import subprocess
import zipfile

import pytest

from common import DATA, run
from nibble_score import score_texts
from random_corpus import ALPHABETS, random_corpus

java = pytest.mark.skipif(shutil.which("java") is None, reason="needs java (default-jre-headless)")
pytestmark = java

CLOSE = dict(rel=1e-9, abs=1e-9)


def package_file(name):
    import pycocoevalcap.tokenizer.ptbtokenizer as module

    return pathlib.Path(module.__file__).parents[1] / name


TOKENIZER_JAR, METEOR_JAR = "tokenizer/stanford-corenlp-3.4.1.jar", "meteor/meteor-1.5.jar"


def tokenize(captions):
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    tokens = PTBTokenizer().tokenize({i: [{"caption": c}] for i, c in enumerate(captions)})
    return [tokens[i][0] for i in range(len(captions))]


def test_the_lexers_automata_are_equal(tmp_path):
    """Walks both automata along all text: wherever either accepts, both do, and rules of one action
    here are of one action there."""
    if shutil.which("javac") is None:
        pytest.skip("needs javac (default-jdk-headless)")
    jar = package_file(TOKENIZER_JAR)
    source = pathlib.Path(__file__).parent / "PtbTables.java"
    subprocess.run(["javac", "-cp", jar, "-d", tmp_path, source], check=True)
    command = ["java", "-cp", f"{jar}:{tmp_path}", "PtbTables"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    tables = {name: list(map(int, items)) for name, *items in map(str.split, lines)}
    first, *rows = [list(map(int, line.split())) for line in run("ptb_lexer_dump").splitlines()]
    our_class = first[1:]
    their_class, trans, rowmap = tables["CMAP"], tables["TRANS"], tables["ROWMAP"]
    moves = sorted({(their_class[unit], our_class[unit]) for unit in range(0x10000)})

    their_start = 2  # PTBLexer without strictTreebank3
    seen, queue = {(their_start, 0)}, collections.deque([(their_start, 0)])
    actions = collections.defaultdict(set)
    while queue:
        theirs, ours = queue.popleft()
        for their_move, our_move in moves:
            pair = trans[rowmap[theirs] + their_move], rows[ours][2 + our_move]
            if pair in seen or pair == (-1, -1):
                continue
            assert -1 not in pair, f"one goes on where the other cannot: {pair}"
            seen.add(pair)
            queue.append(pair)
            their_action = tables["ACTION"][pair[0]] if tables["ATTRIBUTE"][pair[0]] & 1 else -1
            actions[rows[pair[1]][1]].add(their_action)
    assert len(rows) == len({ours for _, ours in seen}), "states that no text reaches"
    # By the rule here: one action there; nothing accepted is -1 on both sides.
    assert all(len(theirs) == 1 for theirs in actions.values()), dict(actions)
    assert actions[-1] == {-1}
    print(f"{len(seen)} pairs of states; {len(actions) - 1} rules")


FRAGMENTS = """cannot 'twas 'tis gonna U.S. Mr. Bros. etc. Jan. No. fig. 3 pt. co. ltd -LRB- C.D.s pro-
S&P-500 O'o don't they'll it's I.B.M. &amp; &lt;b&gt; &quot; &apos; http://x.y/z www.abc.com a@b.c #tag
@me 1/2 12,345.67 1-2-2003 (555) 123-4567 ½ ¼ £3 €4 $5 c++ f# :-) ;) (^_^) ... .... . -- --- — – “ ” ‘ ’
« » `` '' <b> </p> &nbsp; &mdash; &#123; &eacute; file.txt a.html Ph.D. About The If a.k.a. 3.5% co-ed
anti-war A&P X+Y and/or well-known. e.g. i.e. 10:30 -5 +3 ²³ H₂O 100° C ! ?! Ο ΟΔΟΣ ΣΑΣ Ὀδυσσεύς ΑΣ' Σ
İstanbul Ǆ ß Straße \u00ad co\u00adop 日本語 한국어 العربية עברית हिन्दी 😀 👍🏽 \ufeff \u200b \u3000 \xa0 ¢ ¡Hola! ¿"""


def random_captions(seed, count):
    draw = random.Random(seed)
    fragments = FRAGMENTS.split() + [word for words in ALPHABETS.values() for word in words.split(" ")]
    blocks = [(0xA0, 0x2FF), (0x370, 0x5FF), (0x600, 0xDFF), (0x1E00, 0x2BFF), (0x3000, 0x30FF)]

    def word():
        kind = draw.random()
        if kind < 0.55:
            return draw.choice(fragments)
        if kind < 0.7:
            signs = "abcdeinorstABCDNSTXY019.,'-/&;:!?\"`()[]{}<>@#$%^*_=+~|\\"
            return "".join(draw.choices(signs, k=draw.randint(1, 8)))
        if kind < 0.8:
            return "".join(chr(draw.randint(*draw.choice(blocks))) for _ in range(draw.randint(1, 5)))
        if kind < 0.83:
            return chr(draw.choice([draw.randint(0x10000, 0x1F9FF), draw.randint(1, 0xD7FF)]))
        return "".join(draw.choices("aeiouthnsrldkcmABEThUI", k=draw.randint(1, 9)))

    for _ in range(count):
        text = "".join(word() + draw.choice(["", " ", " ", " "]) for _ in range(draw.randint(0, 12)))
        text = re.sub("[\n\r\x0b\x0c\x85\u2028\u2029]", " ", text)
        # Quoted markup that is not closed would swallow the line's end, there.
        yield re.sub("[\"']", "", text) if re.search(r"<[^>]*[\"'][^>]*$", text) else text


@pytest.mark.parametrize("seed", range(3))
def test_random_text_is_tokenised_alike(seed):
    captions = list(random_captions(seed, 20000))
    got = run("ptb_tokenize", input="\n".join(captions) + "\n").split("\n")[:-1]
    want = tokenize(captions)
    assert len(got) == len(want)
    bad = [pair for pair in zip(captions, got, want) if pair[1] != pair[2]]
    assert not bad, bad[:3]


@pytest.fixture(scope="module")
def meteor_spec(tmp_path_factory):
    """METEOR 1.5 with what its jar and its package hold."""
    folder = tmp_path_factory.mktemp("meteor")
    with zipfile.ZipFile(package_file(METEOR_JAR)) as jar:
        jar.extractall(folder)
    with gzip.open(package_file("meteor/data/paraphrase-en.gz")) as packed:
        with open(folder / "paraphrase-en", "wb") as plain:
            shutil.copyfileobj(packed, plain)
    return f"meteor-1.5:jar={folder}:paraphrases={folder}/paraphrase-en"


def reference_scores(hypotheses, references, with_meteor=True):
    """Corpus scores and each example's, as pycocoevalcap's eval.py gets them."""
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge

    tokens = iter(tokenize([r for own in references for r in own]))
    gts = {i: [next(tokens) for _ in own] for i, own in enumerate(references)}
    res = {i: [text] for i, text in enumerate(tokenize(hypotheses))}
    scorers = {"rouge_l": Rouge(), "cider": Cider()} | ({"meteor": Meteor()} if with_meteor else {})
    scores = {name: scorer.compute_score(gts, res) for name, scorer in scorers.items()}
    corpus = {name: float(score[0]) for name, score in scores.items()}
    return corpus, [dict(zip(scores, map(float, row))) for row in zip(*(s[1] for s in scores.values()))]


def compare(hypotheses, references, specs, folder, with_meteor=True):
    want, want_each = reference_scores(hypotheses, references, with_meteor)
    report, each = score_texts(specs, hypotheses, references, folder)
    got = {name: value for metric in report["metrics"] for name, value in metric["scores"].items()}
    assert got == pytest.approx(want, **CLOSE)
    for ours, theirs in zip(each, want_each, strict=True):
        assert {name: ours[name] for name in theirs} == pytest.approx(theirs, **CLOSE)
    return got


@pytest.mark.skipif(DATA is None, reason="needs NIBBLE_DATA")
def test_e2e(meteor_spec, tmp_path):
    """The E2E challenge's figures of its baseline, and slug's; every example's score."""
    references = collections.defaultdict(list)
    with open(DATA / "metrics/e2e/testset_w_refs.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            references[row["mr"]].append(row["ref"])
    for system, published in {"tgen": ("0.4483", "0.6850", "2.2338"), "slug": None}.items():
        with open(DATA / f"metrics/e2e/{system}.tsv", encoding="utf-8") as file:
            outputs = {row["MR"]: row["output"] for row in csv.DictReader(file, delimiter="\t")}
        texts = [outputs[mr] for mr in references]
        got = compare(texts, list(references.values()), f"{meteor_spec},coco-rouge-l,cider", tmp_path)
        print(system, got)
        if published:
            assert tuple(f"{got[n]:.4f}" for n in ("meteor", "rouge_l", "cider")) == published


@pytest.mark.parametrize("script", sorted(ALPHABETS))
def test_random_corpora(script, tmp_path):
    hypotheses, references = random_corpus(script, 60, seed=3, newlines=False)
    clean = lambda text: re.sub("[\n\r\x0b\x0c\x85\u2028\u2029<>]", " ", text)
    hypotheses = [clean(text) for text in hypotheses]
    references = [[clean(text) for text in own] for own in references]
    compare(hypotheses, references, "coco-rouge-l,cider", tmp_path, with_meteor=False)


def test_meteor_on_english_of_all_kinds(meteor_spec, tmp_path):
    """Paraphrases, inflections and synonyms in plenty: sentences of the table's own phrases."""
    draw = random.Random(4)
    table = meteor_spec.rsplit("=", 1)[1]
    with open(table, encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    pairs = [(lines[i + 1], lines[i + 2]) for i in draw.sample(range(0, len(lines) - 2, 3), 4000)]
    common = "the a of to and in is was that it he for on are with his they at be this have".split()
    hypotheses, references = [], []
    for _ in range(300):
        chosen = [(p, q) if draw.random() < 0.8 else (p, p) for p, q in draw.choices(pairs, k=draw.randint(1, 8))]
        first = " ".join(f"{p} {draw.choice(common)}" for p, _ in chosen)
        draw.shuffle(chosen) if draw.random() < 0.5 else None
        second = " ".join(f"{q} {draw.choice(common)}" for _, q in chosen)
        hypotheses.append(first)
        references.append([second] + ([draw.choice(common)] if draw.random() < 0.3 else []))
    compare(hypotheses, references, f"{meteor_spec},coco-rouge-l,cider", tmp_path)
