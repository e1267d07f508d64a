# SPDX-License-Identifier: Apache-2.0
"""Random corpora of many scripts, for comparing metrics of texts."""

import random

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
