# SPDX-License-Identifier: Apache-2.0
"""nibble-eval --compare on a real before and after: SmolLM2 in NF4, and with an adapter of some steps.
The differences are of the logs' means; their intervals, the 2.5 % and 97.5 % quantiles of a paired
bootstrap over questions, are held against scipy's, and against the normal approximation."""

import json
import math

import numpy
import pytest
from scipy import stats

from common import DATA, run

pytestmark = pytest.mark.skipif(DATA is None, reason="needs NIBBLE_DATA")
SAMPLES = 20000
LIMIT = 60
# An empirical quantile q of N draws has the error sqrt(q (1 - q) / N) / density: of a normal one
# 0.019 standard deviations at these N and q. Both sides draw: 5 times that of their difference.
QUANTILE_ERROR = 5 * math.sqrt(2) * math.sqrt(0.025 * 0.975 / SAMPLES) / stats.norm.pdf(stats.norm.ppf(0.025))


@pytest.fixture(scope="module")
def logs(smollm2, tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    model = folder / "nf4"
    run("nibble-quantize", "-q", smollm2, "-o", model)
    segments = run("nibble-format", "-q", DATA / "instructions/identity.json", f"--template={model}")
    rows = run("nibble-tokenize", "-q", f"--model={model}", input=segments)
    run("nibble-pack", "-q", f"--model={model}", "--length=256", "-o", folder / "train.nbp", input=rows)
    run("nibble-train", "-q", f"--model={model}", f"--data={folder}/train.nbp", "--steps=6",
        "--batch-size=2", "--learning-rate=2e-3", "--rank=8", "-o", folder / "adapter")
    for name, adapter in (("before", []), ("after", [f"--adapter={folder}/adapter"])):
        run("nibble-eval", "-q", f"--model={model}", "--task=piqa,arc_easy", f"--limit={LIMIT}",
            f"--data={DATA}/benchmarks", f"--log={folder}/{name}.jsonl", "--samples=10", *adapter)
    return folder


def scores(path):
    """task -> metric -> the examples' scores, in order."""
    with open(path, encoding="utf-8") as file:
        records = [json.loads(line) for line in file][1:]
    out = {}
    for record in sorted(records, key=lambda r: r["example"]):
        for metric, value in record["scores"].items():
            out.setdefault(record["task"], {}).setdefault(metric, []).append(float(value))
    return out


def test_intervals(logs):
    before, after = scores(logs / "before.jsonl"), scores(logs / "after.jsonl")
    report = json.loads(run("nibble-eval", "-q", "--compare", logs / "before.jsonl",
                            logs / "after.jsonl", "--json", f"--samples={SAMPLES}"))
    print(run("nibble-eval", "-q", "--compare", logs / "before.jsonl", logs / "after.jsonl"))
    moved = 0
    assert report["tasks"].keys() == before.keys() == {"piqa", "arc_easy"}
    for task, part in report["tasks"].items():
        assert part["examples"] == LIMIT
        for name, got in part["metrics"].items():
            a, b = numpy.array(before[task][name]), numpy.array(after[task][name])
            difference = b - a
            assert got["before"] == pytest.approx(a.mean(), rel=1e-12)
            assert got["after"] == pytest.approx(b.mean(), rel=1e-12)
            assert got["difference"] == pytest.approx(difference.mean(), abs=1e-12)
            deviation = difference.std() / math.sqrt(LIMIT)
            if deviation == 0:
                assert got["low"] == got["high"] == got["difference"]
                continue
            moved += 1
            want = stats.bootstrap((difference,), numpy.mean, n_resamples=SAMPLES, method="percentile",
                                   vectorized=True, random_state=numpy.random.default_rng(1))
            # Accuracies move in steps of a question.
            close = QUANTILE_ERROR * deviation + 1.0 / LIMIT
            low, high = want.confidence_interval
            print(f"{task} {name}: {got['low']:.4f} to {got['high']:.4f}, scipy {low:.4f} to {high:.4f}")
            assert abs(got["low"] - low) <= close and abs(got["high"] - high) <= close
            reach = stats.norm.ppf(0.975) * deviation
            assert abs(got["low"] - (difference.mean() - reach)) <= close
            assert abs(got["high"] - (difference.mean() + reach)) <= close
    assert moved > 0, "the training changed no answer"


def test_intervals_of_a_metric_that_is_no_mean(logs, tmp_path):
    """Of F1 over classes: the whole corpus' score of every resample, both sides of the same draws."""
    draw = numpy.random.default_rng(3)
    truth = draw.integers(0, 2, 200)
    paths, sides = [], []
    for name, wrong in (("before", 0.4), ("after", 0.25)):
        own = numpy.where(draw.random(200) < wrong, 1 - truth, truth)
        head = {"nibble-eval": 1, "tasks": [{"name": "made", "metrics": ["classification/f1"],
                                             "examples": 200, "few_shot": 0, "file": ""}]}
        records = [{"task": "made", "example": i, "hypothesis": str(h), "references": [str(t)], "scores": {}}
                   for i, (h, t) in enumerate(zip(own, truth))]
        paths.append(tmp_path / f"{name}.jsonl")
        paths[-1].write_text("".join(json.dumps(r) + "\n" for r in [head, *records]))
        sides.append(own)

    def f1(own, true):
        both = numpy.sum((own == 1) & (true == 1), axis=-1)
        return 2 * both / (numpy.sum(own == 1, axis=-1) + numpy.sum(true == 1, axis=-1))

    picks = draw.integers(0, 200, (SAMPLES, 200))
    differences = f1(sides[1][picks], truth[picks]) - f1(sides[0][picks], truth[picks])
    got = json.loads(run("nibble-eval", "-q", "--compare", *paths, "--json", f"--samples={SAMPLES}"))
    got = got["tasks"]["made"]["metrics"]["f1"]
    assert got["difference"] == pytest.approx(f1(sides[1], truth) - f1(sides[0], truth), abs=1e-12)
    close = QUANTILE_ERROR * differences.std()
    low, high = numpy.quantile(differences, [0.025, 0.975])
    assert abs(got["low"] - low) <= close and abs(got["high"] - high) <= close
