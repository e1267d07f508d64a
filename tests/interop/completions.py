# SPDX-License-Identifier: Apache-2.0
"""Greedy completions of nibble-generate against transformers' generate, in fp32: text for text,
prompts of different lengths growing side by side. The tokenizer has bytes, five merges and three
special tokens, so that whatever a random model says is text."""

import json
import pathlib
import shutil
import subprocess

import transformers

from common import run, tool

TOKENIZER = pathlib.Path(__file__).parent.parent / "support" / "tiny-tokenizer"
TOKENS = 32
PROMPTS = ["t", "the other in there", "A longer prompt, beyond the window of seven tokens.",
           "déjà vu", "12 cats", "Ω\n\n  in the end"]


# What a model needs to go with it, and where that goes.
SETTINGS = dict(vocab_size=264, bos_token_id=0, eos_token_id=2)


def add_tokenizer(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TOKENIZER / name, folder / name)


def bytes_of(tokenizer):
    """Every id's bytes, by the alphabet of byte-level BPE; special tokens have none."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in kept]
    letters = {chr(byte): byte for byte in kept} | {chr(256 + i): b for i, b in enumerate(moved)}
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    return [b"" if i in special else bytes(letters[c] for c in tokenizer.convert_ids_to_tokens(i))
            for i in range(len(tokenizer))]


def transformers_completions(model, folder):
    """(bytes, tokens, why it ended) of each prompt."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    pieces = bytes_of(tokenizer)
    out = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
        done = model.generate(ids, max_new_tokens=TOKENS, do_sample=False, eos_token_id=2,
                              pad_token_id=2)[0, ids.shape[1]:].tolist()
        stopped = done[-1] == 2
        done = done[:-1] if stopped else done
        out.append((b"".join(pieces[i] for i in done), len(done),
                    "stop" if stopped else "length"))
    return out


def as_json(text):
    """JSON has no bytes that are no UTF-8: each becomes U+FFFD."""
    escaped = text.decode(errors="surrogateescape")
    return "".join("\ufffd" if "\udc80" <= c <= "\udcff" else c for c in escaped)


def assert_completes(model, folder, scratch, *more):
    """nibble-generate with the folder, and more options, says what transformers' model says."""
    want = transformers_completions(model, folder)
    assert len({text for text, *_ in want}) == len(PROMPTS)
    options = [f"--model={folder}", "--raw", "--compute=f32", f"--max-tokens={TOKENS}", *more]
    records = "".join(json.dumps({"prompt": prompt}) + "\n" for prompt in PROMPTS)
    (scratch / "prompts.jsonl").write_text(records)
    lines = run("nibble-generate", *options, "--batch-size=4", scratch / "prompts.jsonl")
    got = [json.loads(line) for line in lines.splitlines()]
    got = [(record["completion"], record["tokens"], record["finish_reason"]) for record in got]
    assert got == [(as_json(text), *rest) for text, *rest in want]
    for prompt, (text, *_) in zip(PROMPTS, want):  # one alone, to the byte
        command = [tool("nibble-generate"), *options, f"--prompt={prompt}"]
        done = subprocess.run(command, capture_output=True, check=True)
        assert done.stdout == text + b"\n", prompt
