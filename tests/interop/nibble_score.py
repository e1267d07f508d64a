# SPDX-License-Identifier: Apache-2.0
"""What the comparisons of nibble-score share: random corpora of many scripts, and running it."""

import json
import random

from common import run

ALPHABETS = {
    "latin": "the The cat cats sat. mat, 3.14 1,000 well-known it's (so) \"quoted\" 5-6 e.g. U.S. "
    "running ran runs happily happiness relational skies &amp; &quot; <b> %% $5 a- -b 'tis --",
    "greek": "ΣΟΦΟΣ σοφός ΑΣ. Σ ΟΔΥΣΣΕΥΣ, ὈΔΥΣΣΕΎΣ; καί· ΚΑΙ ἄνθρωπος «ναι»",
    "cyrillic": "Кот кот сидел, на ковре. Ёж ёж «да» — нет… 1-й 2,5",
    "cjk": "猫 猫が 座った。 东京 東京、 「はい」 カタカナ ｶﾀ ２０２４年 3,5 ㈱ ﹁ 中文，句子！ 한국어 은",
    "marks": "e\u0301 é n\u0303 ñ İstanbul ISTANBUL ıI ß ẞ Å K ﬁ café cafe\u0301 "
    "zero\u200bwidth no\u00a0break line\u2028sep ideo\u3000space \u0301alone",
    "emoji": "😀 👍🏽 👨‍👩‍👧 🇩🇪 ❤️ ok! ☃ ½ ² Ⅻ ٣٤ ३.५ ₤5 € ± × ÷ ½-¾ ٪ ‰ ،",
    "rtl": "שלום עולם، مرحبا بالعالم! ١٢٣٫٤ ״כן״ لا؟ न हिन्दी। ไทย ကို",
    "odd": "... ,,, .,.,. --- 1.-.2 -1- &lt;&gt; <skipped> a<skipped>b '' 's's \"\" ` ~ {x} [y] | \\ a.b.c 1.2.3",
}


def random_corpus(script, count, seed, newlines=True):
    """(hypotheses, references): related texts, some empty, of one to four references."""
    draw = random.Random(seed)
    words = ALPHABETS[script].split(" ")

    def text(most):
        parts = draw.choices(words, k=draw.randint(0, most))
        gaps = [" "] * 12 + ["", "  ", "\t", " \u00a0"] + (["\n", "\n\n"] if newlines else [])
        return "".join(part + draw.choice(gaps) for part in parts)

    def changed(line):
        parts = line.split(" ")
        for _ in range(draw.randint(0, 4)):
            at = draw.randrange(len(parts) + 1)
            how = draw.randrange(4)
            if how == 0:
                parts.insert(at, draw.choice(words))
            elif how == 1 and at < len(parts) and len(parts) > 1:
                parts.pop(at)
            elif how == 2 and at < len(parts):
                parts[at] = draw.choice(words)
            else:  # a run moves
                run_ = parts[at : at + 3]
                del parts[at : at + 3]
                to = draw.randrange(len(parts) + 1)
                parts[to:to] = run_
        return " ".join(parts)

    hypotheses, references = [], []
    for _ in range(count):
        first = text(14)
        hypotheses.append(draw.choice([changed(first), changed(first), first, text(14), ""]))
        own = [first] + [changed(first) for _ in range(draw.randint(0, 3))]
        references.append([draw.choice([r, r, r, r, r, ""]) for r in own])
    return hypotheses, references


def score_texts(specs, hypotheses, references, folder, against=None, options=()):
    """The report, and the examples' scores."""
    with open(folder / "out.jsonl", "w", encoding="utf-8") as file:
        for hypothesis in hypotheses:
            print(json.dumps({"prediction": hypothesis}, ensure_ascii=False), file=file)
    with open(folder / "refs.jsonl", "w", encoding="utf-8") as file:
        for own in references:
            print(json.dumps({"references": own}), file=file)
    command = ["nibble-score", "--metric=" + specs, f"--references={folder}/refs.jsonl", "--json",
               folder / "out.jsonl", f"--each={folder}/each.jsonl", *options]
    if against is not None:
        with open(folder / "against.jsonl", "w", encoding="utf-8") as file:
            for hypothesis in against:
                print(json.dumps({"prediction": hypothesis}), file=file)
        command.append(f"--against={folder}/against.jsonl")
    report = json.loads(run(*command))
    with open(folder / "each.jsonl", encoding="utf-8") as file:
        return report, [json.loads(line) for line in file]
