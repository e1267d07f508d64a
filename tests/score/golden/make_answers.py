# SPDX-License-Identifier: Apache-2.0
"""Makes answers.json: scores of small corpora of ours by NLTK (over Debian's WordNet), scikit-learn,
scipy, lm-eval's gsm8k filters and SQuAD's definitions. In an environment with
tests/interop/requirements.txt: python make_answers.py"""

import json
import pathlib
import random
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "interop"))

import answer_scorers  # noqa: E402


def main():
    with tempfile.TemporaryDirectory() as folder:
        scorers = answer_scorers.all_scorers(pathlib.Path(folder))
        draw = random.Random(8)
        out = []
        for spec, scorer in scorers.items():
            examples = answer_scorers.examples_for(spec, draw, 40)
            corpus, each = scorer(examples)
            out.append({"spec": spec, "examples": examples, "corpus": corpus, "each": each})
    text = json.dumps(out, ensure_ascii=False, indent=0)
    (HERE / "answers.json").write_text(text + "\n", encoding="utf-8")


main()
