# SPDX-License-Identifier: Apache-2.0
"""Peak resident memory of importing, quantising and merging a model of any size, and the time they take:

    peak.py MODEL/ LAYERS      MODEL: a Llama folder whose tokenizer is taken (SmolLM2-135M)

The model has LAYERS layers of LLaMA-3-8B's shape, 0.41 GiB each in bf16, and a file with holes: all weights
are zero and read as any others. 60 layers are 26 GiB. $NIBBLE_BIN holds the tools; what they write goes where
TMPDIR says and is removed at once. Each tool says its own peak, pages of mapped files counted in. $ROUNDS
rounds (3); TRIAL=1: one, of one layer.
"""

import json
import os
import pathlib
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
BIN = pathlib.Path(os.environ.get("NIBBLE_BIN", HERE / "../../build")).resolve()
TRIAL = bool(os.environ.get("TRIAL"))
ROUNDS = 1 if TRIAL else int(os.environ.get("ROUNDS", "3"))
WIDTH, FFN, HEADS, KV_HEADS, RANK = 4096, 14336, 32, 8, 16
KV = WIDTH // HEADS * KV_HEADS
LINEAR = {"self_attn.q_proj": (WIDTH, WIDTH), "self_attn.k_proj": (KV, WIDTH), "self_attn.v_proj": (KV, WIDTH),
          "self_attn.o_proj": (WIDTH, WIDTH), "mlp.gate_proj": (FFN, WIDTH), "mlp.up_proj": (FFN, WIDTH),
          "mlp.down_proj": (WIDTH, FFN)}


def write_zeros(path, shapes, dtype, size):
    """A safetensors file of zeros that takes no room."""
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + size * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(8 + len(text) + end)


def make_model(source, folder, layers):
    folder.mkdir()
    for path in source.iterdir():
        if path.suffix == ".json" and "index" not in path.name:
            shutil.copy(path, folder)
    config = json.loads((source / "config.json").read_text())
    config.update(hidden_size=WIDTH, intermediate_size=FFN, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
                  num_hidden_layers=layers, tie_word_embeddings=False, head_dim=WIDTH // HEADS)
    (folder / "config.json").write_text(json.dumps(config))
    table = (config["vocab_size"], WIDTH)
    shapes = {"model.embed_tokens.weight": table, "lm_head.weight": table, "model.norm.weight": (WIDTH,)}
    for i in range(layers):
        for name, shape in LINEAR.items():
            shapes[f"model.layers.{i}.{name}.weight"] = shape
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"model.layers.{i}.{name}.weight"] = (WIDTH,)
    write_zeros(folder / "model.safetensors", shapes, "BF16", 2)


def make_adapter(folder, layers):
    folder.mkdir()
    targets = [name.split(".")[1] for name in LINEAR]
    (folder / "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": RANK, "target_modules": targets}))
    shapes = {}
    for i in range(layers):
        for name, (out, width) in LINEAR.items():
            place = f"base_model.model.model.layers.{i}.{name}"
            shapes[f"{place}.lora_A.weight"], shapes[f"{place}.lora_B.weight"] = (RANK, width), (out, RANK)
    write_zeros(folder / "adapter_model.safetensors", shapes, "F32", 4)


def run(made, *command):
    """(seconds, MiB at the most)"""
    start = time.perf_counter()
    done = subprocess.run([str(c) for c in (BIN / command[0], *command[1:], "--progress=always", "-o", made)],
                          capture_output=True, text=True)
    took = time.perf_counter() - start
    peak = re.search(r"peak memory ([0-9.]+) MiB", done.stderr)
    if done.returncode != 0 or not peak:
        sys.exit(f"{command}: exit {done.returncode}\n{done.stderr[-2000:]}")
    shutil.rmtree(made)
    return took, float(peak[1])


def main(source, layers):
    layers = 1 if TRIAL else int(layers)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model, adapter, made = folder / "model", folder / "adapter", folder / "made"
        make_model(pathlib.Path(source), model, layers)
        make_adapter(adapter, layers)
        size = (model / "model.safetensors").stat().st_size / 2**30
        print(f"A model of {size:.1f} GiB:\n\n| command | s | peak MiB |\n|---|---|---|", flush=True)
        merge = ("nibble-merge", f"--model={model}", f"--adapter={adapter}")
        for name, command in {
            "nibble-import": ("nibble-import", model),
            "nibble-quantize": ("nibble-quantize", model),
            "nibble-merge": merge,
            "nibble-merge --type=nf4": (*merge, "--type=nf4"),
        }.items():
            rounds = [run(made, *command) for _ in range(ROUNDS)]
            print(f"| {name} | {statistics.median(r[0] for r in rounds):.1f} | {max(r[1] for r in rounds):.0f} |",
                  flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
