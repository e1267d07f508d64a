# SPDX-License-Identifier: Apache-2.0
"""Reference scores of answers, classes and numbers: spec -> function of examples that gives the
corpus scores and every example's, both as {name: value}. And random examples for each."""

import collections
import math
import pathlib
import re
import string

import numpy
import yaml
from lm_eval.api.metrics import exact_match_hf_evaluate
from lm_eval.filters.extraction import RegexFilter
from nltk.translate.meteor_score import meteor_score
from scipy import stats
from sklearn import metrics

import lm_eval.tasks
from nltk_wordnet import wordnet_reader

WORDS = """s es the a an cat cats dog dogs ran run running quickly quick car automobile happy glad big large
children child kid went go goes better good house home physician doctor The CAT, doctors. buy purchased
mice mouse Paris paris don't well-known 42 x² café CAFÉ Straße an- _a_ (the) "an" a1 thé the-end
東京 猫が σοφός İstanbul Ǆ \u0301a a\u0301 ١٢ Ⅻ""".split()


def draw_text(draw, most=9):
    return draw.choice(["", " ", "  "] + [" "] * 5).join(draw.choices(WORDS, k=draw.randint(0, most)))


def changed(draw, text):
    words = text.split(" ")
    for _ in range(draw.randint(0, 3)):
        words[draw.randrange(len(words))] = draw.choice(WORDS)
    return " ".join(words)


def means(rows):
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def nltk_meteor(reader):
    def score(examples):
        each = [
            {
                "meteor_nltk": meteor_score(
                    [r.split() for r in e["references"]], e["hypothesis"].split(), wordnet=reader
                )
            }
            for e in examples
        ]
        return means(each), each

    return score


def squad_tokens(text):
    """SQuAD's normalize_answer, by its four steps."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def squad_f1(hypothesis, reference):
    common = sum((collections.Counter(hypothesis) & collections.Counter(reference)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(hypothesis), common / len(reference)
    return 2 * precision * recall / (precision + recall)


def squad(examples):
    each = []
    for e in examples:
        own, theirs = squad_tokens(e["hypothesis"]), [squad_tokens(r) for r in e["references"]]
        exact = max(" ".join(own) == " ".join(t) for t in theirs)
        each.append({"exact_match": 100.0 * exact, "f1": 100.0 * max(squad_f1(own, t) for t in theirs)})
    return means(each), each


def squad_v2(examples):
    each, kinds = [], []
    for e in examples:
        own = squad_tokens(e["hypothesis"])
        theirs = [t for t in map(squad_tokens, e["references"]) if t] or [[]]
        kinds.append(theirs != [[]])
        f1 = [float(own == t) if not own or not t else squad_f1(own, t) for t in theirs]
        each.append({"exact": 100.0 * (own in theirs), "f1": 100.0 * max(f1)})
    corpus = means(each)
    has = [row for row, kind in zip(each, kinds) if kind]
    no = [row for row, kind in zip(each, kinds) if not kind]
    corpus |= {"has_answer_" + name: value for name, value in means(has).items()}
    corpus["no_answer_exact"] = means(no)["exact"]
    return corpus, each


def squad_v2_with_probabilities(threshold):
    """evaluate-v2.0's figures where the probability that there is no answer is given: an answer is
    taken back above the threshold, and the best thresholds are found from no answer at all on, in
    the order of the probabilities, in which an empty prediction adds nothing."""

    def score(examples):
        _, raw = squad_v2(examples)
        has = [any(squad_tokens(r) for r in e["references"]) for e in examples]
        na = [e["record"]["na_prob"] for e in examples]
        each = [row if p <= threshold else dict.fromkeys(row, 100.0 * (not h))
                for row, p, h in zip(raw, na, has)]
        corpus = means(each)
        corpus |= {"has_answer_" + name: value
                   for name, value in means([r for r, h in zip(each, has) if h]).items()}
        corpus["no_answer_exact"] = means([r for r, h in zip(each, has) if not h])["exact"]
        for name in ("exact", "f1"):
            best = now = has.count(False)
            at = 0.0
            for i in sorted(range(len(na)), key=na.__getitem__):
                now += raw[i][name] / 100 if has[i] else -1 if examples[i]["hypothesis"] else 0
                if now > best:
                    best, at = now, na[i]
            corpus |= {f"best_{name}": 100.0 * best / len(na), f"best_{name}_threshold": at}
        return corpus, each

    return score


def gsm8k(examples):
    folder = pathlib.Path(lm_eval.tasks.__file__).parent
    task = yaml.safe_load((folder / "gsm8k/gsm8k.yaml").read_text(encoding="utf-8"))
    names = {"strict-match": "strict_match", "flexible-extract": "flexible_extract"}
    options = {k: v for k, v in task["metric_list"][0].items() if k.startswith(("ignore", "regexes"))}
    each = [{} for _ in examples]
    for item in task["filter_list"]:
        arguments = {k: v for k, v in item["filter"][0].items() if k != "function"}
        found = RegexFilter(**arguments).apply([[e["hypothesis"]] for e in examples], [])
        for row, e, [answer] in zip(each, examples, found):
            row[names[item["name"]]] = max(
                float(exact_match_hf_evaluate([answer], [r], **options)["exact_match"])
                for r in e["references"]
            )
    return means(each), each


def classification(positive):
    def score(examples):
        own = [e["hypothesis"].strip() for e in examples]
        true = [e["references"][0].strip() for e in examples]
        f1 = metrics.f1_score(true, own, labels=[positive], average=None, zero_division=0)[0]
        return {
            "accuracy": float(metrics.accuracy_score(true, own)),
            "f1": float(f1),
            "f1_macro": float(metrics.f1_score(true, own, average="macro", zero_division=0)),
            "f1_micro": float(metrics.f1_score(true, own, average="micro", zero_division=0)),
            "mcc": float(metrics.matthews_corrcoef(true, own)),
        }, [{"accuracy": float(a == b)} for a, b in zip(own, true)]

    return score


def correlation(examples):
    own = [float(e["hypothesis"]) for e in examples]
    true = [float(e["references"][0]) for e in examples]
    pearson, spearman = float(stats.pearsonr(own, true)[0]), float(stats.spearmanr(own, true)[0])
    corpus = {"pearson": pearson, "spearman": spearman, "corr": (pearson + spearman) / 2}
    return corpus, [{} for _ in examples]


def perplexity(examples):
    lists = [[p for p in e["record"]["logprobs"] if p is not None] for e in examples]
    every = numpy.concatenate(lists)
    corpus = {"perplexity": math.exp(-every.mean()), "nll_per_token": -every.mean()}
    each = [{"perplexity": math.exp(-numpy.mean(p)), "nll_per_token": -numpy.mean(p)} for p in lists]
    return corpus, [{k: float(v) for k, v in row.items()} for row in each]


def all_scorers(folder):
    """All but NLTK's where WordNet is not installed."""
    scorers = {
        "squad": squad,
        "squad-v2": squad_v2,
        "squad-v2:na-prob=na_prob": squad_v2_with_probabilities(1.0),
        "squad-v2:na-prob=na_prob:threshold=0.4": squad_v2_with_probabilities(0.4),
        "gsm8k": gsm8k,
        "classification": classification("1"),
        "classification:positive=not entailed": classification("not entailed"),
        "correlation": correlation,
        "perplexity": perplexity,
    }
    reader = wordnet_reader(folder)
    return scorers if reader is None else scorers | {"meteor-nltk": nltk_meteor(reader)}


def solution(draw):
    number = draw.choice(["5", "-12", "1,234", "$3.50", "0.5", "18.", "1.", "-$7", "72"])
    text = draw.choice(["She has 3 left. ", "2+2=4, so $5.\n", "", "No idea - none.", "- 4 -- "])
    return text + draw.choice([f"#### {number}", f"The answer is {number}", f"####{number}", "####  1",
                               f"#### {number}\n", f"#### x {number} #### {number}", "..", "#### $6"])


def examples_for(spec, draw, count):
    """Random examples that the metric takes."""
    kind = spec.split(":")[0]
    examples = []
    for _ in range(count):
        if kind == "gsm8k":
            refs = ["Work. #### " + draw.choice(["5", "-12", "1234", "3.50", "18", "0.5", "72", "6"])]
            examples.append({"hypothesis": solution(draw), "references": refs})
        elif kind == "classification":
            classes = ["0", "1"] if ":" not in spec else ["entailed", "not entailed", "neutral"]
            true = draw.choice(classes)
            own = true if draw.random() < 0.5 else draw.choice(classes + ["other"])
            examples.append({"hypothesis": own, "references": [true]})
        elif kind == "correlation":
            x = round(draw.uniform(-5, 5), draw.randint(0, 2))
            y = round(x + draw.gauss(0, 2), 1)
            examples.append({"hypothesis": f"{x} ", "references": [f"{y}"]})
        elif kind == "perplexity":
            probabilities = [None] + [-draw.expovariate(0.5) for _ in range(draw.randint(1, 9))]
            examples.append({"hypothesis": "", "references": [], "record": {"logprobs": probabilities}})
        else:
            first = draw_text(draw)
            refs = [first] + [changed(draw, first) for _ in range(draw.randint(0, 2))]
            if kind == "squad-v2" and draw.random() < 0.3:
                refs = draw.choice([[], [""], ["the", "a an"]])
            hypothesis = draw.choice([changed(draw, first), first, draw_text(draw), ""])
            examples.append({"hypothesis": hypothesis, "references": refs})
            if kind == "squad-v2":  # ties too
                examples[-1]["record"] = {"na_prob": round(draw.random(), draw.choice([1, 1, 3]))}
    return examples
