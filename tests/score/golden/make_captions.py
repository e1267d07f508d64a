# SPDX-License-Identifier: Apache-2.0
"""Makes captions.json: what pycocoevalcap 1.2 and its jars (Java) make of captions of ours. METEOR 1.5
runs on the words, synonyms and paraphrases in meteor/, not on its own. In an environment with
tests/interop/requirements.txt: python make_captions.py"""

import gzip
import json
import pathlib
import random
import subprocess
import tempfile

import pycocoevalcap.meteor.meteor as meteor
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

HERE = pathlib.Path(__file__).parent
DRAW = random.Random(20)

PIECES = """cannot 'twas 'tis gonna U.S. Mr. Bros. etc. Jan. No. fig. 3 pt. co. ltd -LRB- C.D.s pro-
S&P-500 O'o don't they'll it's I.B.M. &amp; &lt; &quot; &apos; http://x.y/z www.abc.com a@b.co #tag @me
1/2 12,345.67 1-2-2003 (555) 123-4567 ½ ¼ £3 €4 $5 ¢ c++ f# :-) ;) (^_^) ... .... . -- --- — – “ ” ‘ ’ «
» `` '' <b> </p> &nbsp; &mdash; &#123; &eacute; file.txt a.html Ph.D. About The If a.k.a. 3.5% co-ed
A&P X+Y and/or well-known. e.g. 10:30 -5 +3 ²³ H₂O 100° C ! ?! ΟΔΟΣ ΣΑΣ Ὀδυσσεύς Σ İstanbul Straße
co\u00adop 日本語 한국어 עברית हिन्दी 😀 👍🏽 \ufeff \u200b \u3000 \xa0 ¡Hola! ¿ plan B. U.K. Then He""".split()
WORDS = """the a cheap inexpensive pub restaurant near close to river children family friendly good for
is located lies in city centre downtown many a lot of looks seems large bigger kids can food serving
English-style, Dr. Smith p. 5 it's 'quoted' "so" 1,000 end. child-friendly 20 £20""".split()


def texts(pieces, most, count):
    return [
        "".join(DRAW.choice(pieces) + DRAW.choice([" "] * 5 + [""]) for _ in range(DRAW.randint(0, most)))
        for _ in range(count)
    ]


SWAPS = {"cheap": "inexpensive", "near": "close to", "children": "kids", "large": "big", "can": "is",
         "looks": "seemed", "located": "lies", "many": "a lot of", "a": "the", "close": "near"}


def changed(text):
    words = [SWAPS[w] if w in SWAPS and DRAW.random() < 0.4 else w for w in text.split()]
    for _ in range(DRAW.randint(0, 4)):
        at = DRAW.randrange(len(words) + 1)
        words[at : at + DRAW.randint(0, 1)] = DRAW.choices(WORDS, k=DRAW.randint(0, 1))
    if DRAW.random() < 0.4:
        cut = DRAW.randrange(len(words) + 1)
        words = words[cut:] + words[:cut]
    return " ".join(words)


def tokenize(captions):
    tokens = PTBTokenizer().tokenize({i: [{"caption": c}] for i, c in enumerate(captions)})
    return [tokens[i][0] for i in range(len(captions))]


def meteor_scores(pairs, *options):
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder) / "paraphrase-en.gz"
        table.write_bytes(gzip.compress((HERE / "meteor/paraphrases").read_bytes()))
        jar = pathlib.Path(meteor.__file__).parent / meteor.METEOR_JAR
        command = ["java", "-cp", f"{HERE}/meteor/:{jar}", "Meteor", "-", "-", "-stdio", "-l", "en"]
        lines = [" ||| ".join(["SCORE", *refs, hyp]) for hyp, refs in pairs]
        command += ["-a", str(table), *options]
        run = lambda lines: subprocess.run(
            command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=True
        ).stdout.split("\n")[:-1]
        stats = run(lines)
        scores = run(["EVAL ||| " + " ||| ".join(stats)])
        return {"each": [float(s) for s in scores[:-1]], "corpus": float(scores[-1])}


def main():
    captions = [c for c in texts(PIECES, 9, 250) if not ("<" in c and '"' in c)]
    examples = []
    for text in texts(WORDS, 14, 120):
        examples.append((changed(text), [text] + [changed(text) for _ in range(DRAW.randint(0, 3))]))
    examples += [("", ["a pub"]), ("a pub", [""]), ("", [""]), ("the the the", ["the the"])]
    examples += [("a good pub near the river", ["a good pub near the river"])]
    references = tokenize([r for _, refs in examples for r in refs])
    hypotheses = tokenize([hyp for hyp, _ in examples])
    gts, at = {}, 0
    for i, (_, refs) in enumerate(examples):
        gts[i] = references[at : at + len(refs)]
        at += len(refs)
    res = {i: [hyp] for i, hyp in enumerate(hypotheses)}
    pairs = [(res[i][0], gts[i]) for i in gts]
    out = {"captions": captions, "tokens": tokenize(captions), "scores": {}}
    out["examples"] = [{"hypothesis": hyp, "references": refs} for hyp, refs in examples]
    for name, scorer in (("coco-rouge-l", Rouge()), ("cider", Cider())):
        corpus, each = scorer.compute_score(gts, res)
        out["scores"][name] = {"each": [float(s) for s in each], "corpus": float(corpus)}
    out["scores"]["meteor-1.5:jar={meteor}:paraphrases={meteor}/paraphrases"] = meteor_scores(pairs, "-norm")
    out["scores"]["meteor-1.5:functions={meteor}/function/english.words:prefixes={meteor}/nonbreaking/english.prefixes"] = meteor_scores(
        pairs, "-norm", "-m", "exact stem", "-w", "1.0 0.6"
    )
    out["scores"]["meteor-1.5:jar={meteor}:paraphrases={meteor}/paraphrases:tokenize=none:norm=no"] = (
        meteor_scores([(e["hypothesis"], e["references"]) for e in out["examples"]])
    )
    (HERE / "captions.json").write_text(json.dumps(out, ensure_ascii=False, indent=0) + "\n")


main()
