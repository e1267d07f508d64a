# SPDX-License-Identifier: Apache-2.0
"""Benchmarks against lm-eval, driven offline: its own task files, with nibble's fixtures (the
published forms) or the real data for their records, on SmolLM2. Log-likelihoods must agree to what
f32 leaves of them, and so must every score."""

import json
import pathlib

import pytest

from common import DATA, run
from lm_evaluation import lm_eval, ours, splits, stand_in_for_squad_metrics, theirs

FIXTURES = pathlib.Path(__file__).parents[1] / "eval" / "tasks"
THEIRS = pathlib.Path(lm_eval.__file__).parent / "tasks"
# A logit of some 32, summed in f32 through 30 layers, a token.
PER_TOKEN = 30 * 32 * 2.0**-23

# nibble's task: lm-eval's file, the fixture.
TASKS = {
    "arc_easy": ("arc/arc_easy.yaml", "hub.jsonl"),
    "arc_challenge": ("arc/arc_easy.yaml", "hub.jsonl"),
    "boolq": ("super_glue/boolq/default.yaml", "hub.jsonl"),
    "piqa": ("piqa/piqa.yaml", "hub.jsonl"),
    "hellaswag": ("hellaswag/hellaswag.yaml", "publisher.jsonl"),
    "winogrande": ("winogrande/default.yaml", "publisher.jsonl"),
    "openbookqa": ("openbookqa/openbookqa.yaml", "hub.jsonl"),
    "sciq": ("sciq/sciq.yaml", "hub.jsonl"),
    "truthfulqa_mc1": ("truthfulqa/truthfulqa_mc1.yaml", "hub.jsonl"),
    "truthfulqa_mc2": ("truthfulqa/truthfulqa_mc2.yaml", "hub.jsonl"),
    "lambada": ("lambada/lambada_openai.yaml", "hub.jsonl"),
    "cola": ("glue/cola/default.yaml", "hub.jsonl"),
    "sst2": ("glue/sst2/default.yaml", "hub.jsonl"),
    "mrpc": ("glue/mrpc/default.yaml", "hub.jsonl"),
    "qqp": ("glue/qqp/default.yaml", "hub.jsonl"),
    "qnli": ("glue/qnli/default.yaml", "hub.jsonl"),
    "rte": ("glue/rte/default.yaml", "hub.jsonl"),
    "wnli": ("glue/wnli/default.yaml", "hub.jsonl"),
    "mnli": ("glue/mnli/default.yaml", "hub.jsonl"),
    "cb": ("super_glue/cb/default.yaml", "hub.jsonl"),
    "sglue_rte": ("super_glue/rte/default.yaml", "hub.jsonl"),
    "copa": ("super_glue/copa/default.yaml", "hub.jsonl"),
    "multirc": ("super_glue/multirc/default.yaml", "hub.jsonl"),
    "record": ("super_glue/record/default.yaml", "hub.jsonl"),
    "wic": ("super_glue/wic/default.yaml", "hub.jsonl"),
    "wsc": ("super_glue/wsc/default.yaml", "hub.jsonl"),
}
# lm-eval's names of scores, where nibble's differ.
NAMES = {"mc2": "acc", "f1_macro": "f1", "exact_match": "em"}

ARC = r"""task: interop_arc
dataset_path: json
dataset_kwargs: {data_files: {test: DATA/ARC-Easy/test.json}}
output_type: multiple_choice
test_split: test
doc_to_text: "Question: {{instruction.split('\n\nAnswer format:')[0].split('question: ', 1)[1].split('\n\nAnswer1: ')[0]}}\nAnswer:"
doc_to_choice: "{% set parts = instruction.split('\n\nAnswer format: ') %}{% set found = namespace(rest=parts[0].split('\n\nAnswer1: ', 1)[1], texts=[]) %}{% for name in parts[1].split('/')[1:] %}{% set pieces = found.rest.split(' ' ~ name | capitalize ~ ': ', 1) %}{% set found.texts = found.texts + [pieces[0]] %}{% set found.rest = pieces[1] %}{% endfor %}{{ found.texts + [found.rest] }}"
doc_to_target: "{{ instruction.split('Answer format: ')[1].split('/').index(answer) }}"
metric_list: [{metric: acc}, {metric: acc_norm}, {metric: acc_bytes}]
"""
BOOLQ = r"""task: interop_boolq
dataset_path: json
dataset_kwargs: {data_files: {test: DATA/boolq/test.json}}
output_type: multiple_choice
test_split: test
doc_to_text: "Question: {{instruction.split('\n\nAnswer format:')[0].split('question: ', 1)[1]}}\nAnswer:"
doc_to_choice: ["no", "yes"]
doc_to_target: "{{ 1 if answer == 'true' else 0 }}"
metric_list: [{metric: acc}]
"""


def assert_same(result, report, records):
    (samples,), (scores,) = result["samples"].values(), result["results"].values()
    assert len({sample["doc_id"] for sample in samples}) == len(records)
    worst = 0.0
    for sample in samples:
        record = records[sample["doc_id"]]
        values = [float(response[0][0]) for response in sample["resps"]]
        assert len(values) == len(record["loglikelihoods"])
        for own, value, tokens in zip(record["loglikelihoods"], values, record["tokens"]):
            assert abs(own - value) <= PER_TOKEN * tokens, (record["place"], own, value)
            worst = max(worst, abs(own - value))
    for name, metric in report["metrics"].items():
        their_name = name if f"{name},none" in scores else NAMES.get(name, name)
        if f"{their_name},none" not in scores:
            continue
        scale = 100 if name in ("exact_match", "f1") and "em,none" in scores else 1
        if their_name == "perplexity":
            assert metric["value"] == pytest.approx(scores["perplexity,none"], rel=PER_TOKEN * 8)
        else:
            assert metric["value"] == pytest.approx(scale * scores[f"{their_name},none"],
                                                    abs=1e-4 if name == "mc2" else 1e-12), name
    print(f"{len(samples)} examples, log-likelihoods differ by {worst:.1e} at most")


@pytest.mark.parametrize("task", TASKS)
def test_every_task(task, lm, smollm2, tmp_path):
    source, fixture = TASKS[task]
    if task == "record":
        stand_in_for_squad_metrics()
    (tmp_path / "task.yaml").write_text(
        f"include: {THEIRS / source}\ntask: interop_{task}\ndataset_path: json\n"
        f"dataset_name: null\n{splits(FIXTURES / task / fixture)}")
    result = theirs(lm, tmp_path, f"interop_{task}", shots=0)
    assert_same(result, *ours(smollm2, task, tmp_path, f"--data={FIXTURES / task / fixture}"))


@pytest.mark.parametrize("subject", ["stars", "old_law"])
def test_mmlu(subject, lm, smollm2, tmp_path):
    """Five examples before each question, first of the subject's, which the questions share."""
    for name in ("hub", "hub_dev"):
        rows = (FIXTURES / "mmlu" / f"{name}.jsonl").read_text().splitlines()
        rows = [row for row in rows if json.loads(row)["subject"] == subject]
        (tmp_path / f"{name}.jsonl").write_text("".join(row + "\n" for row in rows))
    (tmp_path / "task.yaml").write_text(
        f"include: {THEIRS}/mmlu/default/_default_template_yaml\ntask: interop_mmlu\n"
        "dataset_path: json\ndataset_name: null\n"
        f"{splits(tmp_path / 'hub.jsonl', tmp_path / 'hub_dev.jsonl')}"
        'description: "The following are multiple choice questions (with answers) about '
        f'{subject.replace("_", " ")}.\\n\\n"\n')
    result = theirs(lm, tmp_path, "interop_mmlu", shots=5)
    assert_same(result, *ours(smollm2, "mmlu", tmp_path, f"--data={tmp_path}/hub.jsonl",
                              f"--few-shot-data={tmp_path}/hub_dev.jsonl"))


def test_few_shots(lm, smollm2, tmp_path):
    data = FIXTURES / "sciq" / "hub.jsonl"
    (tmp_path / "task.yaml").write_text(
        f"include: {THEIRS}/sciq/sciq.yaml\ntask: interop_sciq\ndataset_path: json\n"
        f"{splits(data)}fewshot_config: {{sampler: first_n}}\n")
    result = theirs(lm, tmp_path, "interop_sciq", shots=2)
    assert_same(result, *ours(smollm2, "sciq", tmp_path, f"--data={data}",
                              f"--few-shot-data={data}", "--few-shot=2", "--few-shot-order=first"))


def test_gsm8k(lm, smollm2, tmp_path):
    """Completions, by a task file of the user's."""
    data = FIXTURES / "gsm8k" / "publisher.jsonl"
    (tmp_path / "task.yaml").write_text(
        f"include: {THEIRS}/gsm8k/gsm8k.yaml\ntask: interop_gsm8k\ndataset_path: json\n"
        f"dataset_name: null\n{splits(data)}"
        "fewshot_config: {sampler: first_n}\n"
        'generation_kwargs: {until: ["Question:", "</s>", "<|im_end|>"], do_sample: false, '
        "temperature: 0.0, max_gen_toks: 48}\n")
    result = theirs(lm, tmp_path, "interop_gsm8k", shots=2)
    (tmp_path / "own.toml").write_text(
        run("nibble-eval", "--show-task=gsm8k").replace("max_tokens = 256", "max_tokens = 48"))
    report, records = ours(smollm2, tmp_path / "own.toml", tmp_path, f"--data={data}",
                           f"--few-shot-data={data}", "--few-shot=2", "--few-shot-order=first")
    (samples,), (scores,) = result["samples"].values(), result["results"].values()
    for sample in samples:
        assert records[sample["doc_id"]]["completion"] == sample["resps"][0][0]
    for name, filtered in (("strict_match", "strict-match"), ("flexible_extract", "flexible-extract")):
        value = report["metrics"][f"gsm8k.{name}"]["value"]
        assert value == scores[f"exact_match,{filtered}"]


@pytest.mark.skipif(DATA is None, reason="needs NIBBLE_DATA")
@pytest.mark.parametrize("task,yaml", [("arc_easy", ARC), ("boolq", BOOLQ)])
def test_real_data(task, yaml, lm, smollm2, tmp_path):
    """ARC-Easy and BoolQ as instructions; PIQA is in the published form, below."""
    (tmp_path / "task.yaml").write_text(yaml.replace("DATA", str(DATA / "benchmarks")))
    result = theirs(lm, tmp_path, f"interop_{task.split('_')[0]}", limit=40)
    assert_same(result, *ours(smollm2, task, tmp_path, f"--data={DATA}/benchmarks", "--limit=40"))


@pytest.mark.skipif(DATA is None, reason="needs NIBBLE_DATA")
def test_real_piqa(lm, smollm2, tmp_path):
    lines = (DATA / "benchmarks" / "valid.jsonl").read_text().splitlines()[:40]
    labels = (DATA / "benchmarks" / "valid-labels.lst").read_text().split()
    (tmp_path / "piqa.jsonl").write_text("".join(
        json.dumps({**json.loads(line), "label": int(label)}) + "\n"
        for line, label in zip(lines, labels)))
    (tmp_path / "task.yaml").write_text(
        f"include: {THEIRS}/piqa/piqa.yaml\ntask: interop_piqa\ndataset_path: json\n"
        f"dataset_name: null\n{splits(tmp_path / 'piqa.jsonl')}")
    result = theirs(lm, tmp_path, "interop_piqa", shots=0)
    assert_same(result, *ours(smollm2, "piqa", tmp_path, f"--data={DATA}/benchmarks", "--limit=40"))
