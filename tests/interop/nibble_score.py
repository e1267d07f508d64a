# SPDX-License-Identifier: Apache-2.0
"""Running nibble-score on texts at hand."""

import json

from common import run


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
