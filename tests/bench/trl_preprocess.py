# SPDX-License-Identifier: Apache-2.0
"""Times what TRL's SFTTrainer does to conversations before it trains: the chat template and the
tokenizer by datasets.map on all cores, then its best-fit packing.

    trl_preprocess.py MODEL/ CONVERSATIONS.jsonl LENGTH

Reading the file and starting Python do not count. Prints one JSON object."""

import json
import os
import resource
import sys
import tempfile
import time
from types import SimpleNamespace

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes of map are the parallelism
os.environ["HF_HUB_OFFLINE"] = "1"

import datasets  # noqa: E402: reads the setting
import transformers  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402


def peak_mib():
    """This process or the largest of its children, whichever is more."""
    users = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(u).ru_maxrss for u in users) // 1024


def main(model, path, length):
    datasets.disable_progress_bars()
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    with tempfile.TemporaryDirectory() as folder:
        rows = datasets.Dataset.from_json(path, cache_dir=folder)
        config = SFTConfig(output_dir=folder, max_length=int(length), packing=True, use_cpu=True,
                           bf16=False, dataset_num_proc=len(os.sched_getaffinity(0)))
        # What the method reads of a trainer; labels on every token, which costs TRL least.
        trainer = SimpleNamespace(_tokenizer=tokenizer, chat_template=None, completion_only_loss=False)
        start = time.perf_counter()
        packed = SFTTrainer._prepare_dataset(trainer, rows, tokenizer, config, True, None, "train")
        took = time.perf_counter() - start
        tokens = sum(len(ids) for ids in packed["input_ids"])
        print(json.dumps({
            "conversations_per_second": len(rows) / took,
            "rows": len(packed),
            "fill": tokens / (len(packed) * int(length)),
            "peak_rss_mib": peak_mib(),
        }))


if __name__ == "__main__":
    main(*sys.argv[1:])
