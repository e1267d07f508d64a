#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times lm-eval and nibble-eval on the same questions, all cores: lm_eval_rate.py MODEL/ DATA/ TASK
LIMIT [BATCH...], TASK being hellaswag, piqa, sciq, arc_easy, boolq, gsm8k (5 examples before a
question, up to 256 tokens written) or another whose records nibble and lm-eval read alike, DATA/ its
file TASK.jsonl, the examples of the few shots its first ones; or ARC-Easy/test.json or boolq/test.json,
DATA/'s files of instructions. lm-eval's time is that of its evaluation, the model
loaded and warm, the best of f32 and bf16 and of the batch sizes; nibble's that of its whole command.
Prints one JSON object. Needs NIBBLE_BIN, and the environment that scripts/interop makes."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"

import lm_eval
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "interop"))

from test_benchmarks import ARC, BOOLQ  # noqa: E402
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

SOURCES = {
    "arc_easy": "arc/arc_easy.yaml",
    "boolq": "super_glue/boolq/default.yaml",
    "gsm8k": "gsm8k/gsm8k.yaml",
    "hellaswag": "hellaswag/hellaswag.yaml",
    "piqa": "piqa/piqa.yaml",
    "sciq": "sciq/sciq.yaml",
}


INSTRUCTIONS = {"ARC-Easy/test.json": ARC, "boolq/test.json": BOOLQ}


def theirs(model, task, data, limit, batches, folder):
    if task in INSTRUCTIONS:
        text = re.sub("^task: .*", "task: timed", INSTRUCTIONS[task]).replace("DATA", data)
    else:
        yaml = pathlib.Path(lm_eval.__file__).parent / "tasks" / SOURCES[task]
        splits = ", ".join(f"{s}: {data}/{task}.jsonl" for s in ("train", "validation", "test"))
        text = (f"include: {yaml}\ntask: timed\ndataset_path: json\ndataset_name: null\n"
                f"dataset_kwargs: {{data_files: {{{splits}}}}}\n"
                "fewshot_config: {sampler: first_n}\n")
    (folder / "task.yaml").write_text(text)
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    times = {}
    for dtype in ("float32", "bfloat16"):
        for batch in batches:
            lm = HFLM(pretrained=model, dtype=dtype, batch_size=batch, device="cpu")
            lm_eval.simple_evaluate(model=lm, tasks=["timed"], limit=2, task_manager=manager,
                                    bootstrap_iters=0)
            start = time.perf_counter()
            result = lm_eval.simple_evaluate(model=lm, tasks=["timed"], limit=limit,
                                             task_manager=manager, bootstrap_iters=0)
            times[f"{dtype}, batch {batch}"] = time.perf_counter() - start
    scores = result["results"]["timed"]
    return times, scores.get("acc,none", scores.get("exact_match,flexible-extract"))


def ours(model, task, data, limit):
    name = task.split("/")[0].lower().replace("-", "_")
    file = f"{data}/{task}" if task in INSTRUCTIONS else f"{data}/{task}.jsonl"
    command = [f"{os.environ['NIBBLE_BIN']}/nibble-eval", f"--model={model}", f"--task={name}",
               f"--data={file}", f"--limit={limit}", "--json", "-q", "--samples=10"]
    if task == "gsm8k":
        command += [f"--few-shot-data={data}/{task}.jsonl", "--few-shot-order=first"]
    times = {}
    for compute in ("f32", "bf16"):
        rounds = []
        for _ in range(3):
            start = time.perf_counter()
            done = subprocess.run([*command, f"--compute={compute}"], check=True,
                                  capture_output=True, text=True)
            rounds.append(time.perf_counter() - start)
        times[compute] = sorted(rounds)[1]
    metrics = json.loads(done.stdout)["tasks"][name]["metrics"]
    return times, (metrics.get("acc") or metrics["gsm8k.flexible_extract"])["value"]


def main(model, data, task, limit, *batches):
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    own, accuracy = ours(model, task, data, int(limit))
    with tempfile.TemporaryDirectory() as folder:
        other, their_accuracy = theirs(model, task, data, int(limit), [int(b) for b in batches or (8,)],
                                       pathlib.Path(folder))
    print(json.dumps({"task": task, "questions": int(limit), "nibble_s": own, "lm_eval_s": other,
                      "acc": [accuracy, their_accuracy],
                      "ratio": min(other.values()) / min(own.values())}))


if __name__ == "__main__":
    main(*sys.argv[1:])
