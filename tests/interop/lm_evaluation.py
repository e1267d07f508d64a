# SPDX-License-Identifier: Apache-2.0
"""Driving lm-eval offline with task files at hand, and nibble-eval on the same."""

import importlib
import json
import sys
import types

import lm_eval

import answer_scorers
from common import run


def splits(test, train=None):
    """The files of a task, whatever its file calls its splits."""
    names = dict.fromkeys(("test", "validation", "validation_matched"), test)
    names["train"] = names["dev"] = train or test
    files = ", ".join(f"{name}: {file}" for name, file in names.items())
    return f"dataset_kwargs: {{data_files: {{{files}}}}}\n"


def theirs(lm, folder, name, limit=None, shots=None):
    from lm_eval.tasks import TaskManager

    return lm_eval.simple_evaluate(
        model=lm, tasks=[name], limit=limit, num_fewshot=shots, log_samples=True,
        bootstrap_iters=0, task_manager=TaskManager(include_path=str(folder), include_defaults=False))


def ours(model, task, folder, *options, compute="f32"):
    """The report of the task, and the log's records by example."""
    log = folder / "log.jsonl"
    log.unlink(missing_ok=True)
    report = run("nibble-eval", f"--model={model}", f"--task={task}", f"--compute={compute}",
                 "--json", "--samples=10", f"--log={log}", "-q", *options)
    records = [json.loads(line) for line in log.read_text().splitlines()[1:]]
    (report,) = json.loads(report)["tasks"].values()
    return report, {record["example"]: record for record in records}


def stand_in_for_squad_metrics():
    """lm-eval 0.4.13's ReCoRD takes two functions of transformers that version 5 has no more."""
    name = "transformers.data.metrics.squad_metrics"
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        importlib.import_module("transformers.data")
        tokens = answer_scorers.squad_tokens
        module = types.ModuleType(name)
        module.compute_exact = lambda gold, own: int(tokens(gold) == tokens(own))
        module.compute_f1 = lambda gold, own: (
            answer_scorers.squad_f1(tokens(own), tokens(gold)) if tokens(gold) and tokens(own)
            else int(tokens(gold) == tokens(own)))
        sys.modules["transformers.data.metrics"] = types.ModuleType("transformers.data.metrics")
        sys.modules[name] = module
