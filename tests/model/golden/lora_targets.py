# SPDX-License-Identifier: Apache-2.0
"""What PEFT makes of adapter configurations: writes lora_targets.json, the names and shapes of the
tensors it saves and the scale of every adapter. Run it with the versions pinned in
tests/interop/requirements.txt."""

import json
import pathlib
import tempfile
import warnings

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

warnings.filterwarnings("ignore")
SHAPE = dict(vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=3,
             num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64, head_dim=8)
FAMILIES = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}

# family, tied, vocabulary after resizing, LoraConfig
CASES = [
    ("llama", False, 40, dict(r=4, target_modules="all-linear")),
    ("llama", False, 40, dict(r=4, target_modules=["q_proj", "v_proj"], use_rslora=True)),
    ("llama", False, 40, dict(
        r=4, target_modules=["self_attn.q_proj", "model.layers.1.mlp.up_proj"])),
    ("llama", False, 40, dict(r=4, target_modules=r".*\.[02]\..*(q|up)_proj")),
    ("llama", False, 40, dict(
        r=4, target_modules=r"model\.layers\.\d\.self_attn\.(?!q_proj)\w+_proj")),
    ("llama", False, 40, dict(
        r=4, target_modules=["q_proj", "down_proj"],
        exclude_modules=["layers.0.self_attn.q_proj"])),
    ("llama", False, 40, dict(r=4, target_modules="all-linear", exclude_modules=r".*mlp.*")),
    ("llama", False, 40, dict(
        r=4, target_modules=["q_proj", "v_proj"], layers_to_transform=[0, 2])),
    ("llama", False, 40, dict(
        r=4, target_modules=["q_proj"], layers_to_transform=1, layers_pattern="layers")),
    ("llama", False, 40, dict(
        r=4, target_modules=["q_proj", "model.layers.0.mlp.up_proj"], layers_to_transform=[2])),
    ("llama", False, 40, dict(
        r=4, lora_alpha=8, target_modules="all-linear",
        rank_pattern={"q_proj": 2, r"layers\.1\.mlp\.\w+": 3, "model.layers.1.mlp.up_proj": 5},
        alpha_pattern={"^model.layers.2.self_attn.q_proj": 32, "v_proj": 1})),
    ("llama", False, 40, dict(
        r=4, lora_alpha=8, target_modules=["q_proj", "k_proj"], use_rslora=True,
        rank_pattern={"k_proj": 9}, alpha_pattern={"self_attn.k_proj": 2.5})),
    ("llama", False, 40, dict(
        r=4, target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"])),
    ("llama", True, 40, dict(r=4, target_modules=["q_proj"], modules_to_save=["embed_tokens"])),
    ("llama", True, 40, dict(r=4, target_modules=["q_proj"], modules_to_save=["lm_head"])),
    ("llama", True, 40, dict(
        r=4, target_modules=["q_proj"], modules_to_save=["lm_head", "embed_tokens"])),
    ("llama", True, 40, dict(
        r=4, target_modules=["q_proj"], modules_to_save=["embed_tokens"],
        ensure_weight_tying=True)),
    ("llama", True, 40, dict(
        r=4, target_modules=["q_proj"], modules_to_save=["lm_head"], ensure_weight_tying=True)),
    ("llama", False, 40, dict(r=4, target_modules=["q_proj"], modules_to_save=["norm"])),
    ("llama", False, 40, dict(
        r=4, target_modules=["q_proj", "v_proj"],
        modules_to_save=["model.norm", "1.self_attn.q_proj"])),
    ("llama", False, 43, dict(r=4, target_modules=["q_proj"])),
    ("llama", False, 43, dict(
        r=4, target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"])),
    ("llama", True, 43, dict(r=4, target_modules=["q_proj"], modules_to_save=["embed_tokens"])),
    ("llama", True, 43, dict(
        r=4, target_modules=["q_proj"], modules_to_save=["embed_tokens"],
        ensure_weight_tying=True)),
    ("qwen2", False, 40, dict(r=4, target_modules=["q_proj"], bias="all")),
    ("qwen2", False, 40, dict(r=4, target_modules=["q_proj", "o_proj"], bias="lora_only")),
    ("qwen2", True, 40, dict(
        r=4, target_modules=["k_proj"], modules_to_save=["q_proj"], bias="all")),
    ("qwen3", True, 40, dict(r=4, target_modules=["k_proj"], modules_to_save=["norm"])),
]


def run(folder, family, tied, vocabulary, options):
    base = folder / f"{family}-{tied}"
    if not base.exists():
        config = FAMILIES[family](**SHAPE, tie_word_embeddings=tied)
        AutoModelForCausalLM.from_config(config).save_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base)
    if vocabulary != SHAPE["vocab_size"]:
        model.resize_token_embeddings(vocabulary)
    peft = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options))
    scales = {name.removeprefix("base_model.model."): module.scaling["default"]
              for name, module in peft.named_modules() if isinstance(module, LoraLayer)}
    trained = {name.replace(".default", "").replace(".modules_to_save", "")
               for name, p in peft.named_parameters() if p.requires_grad}
    out = folder / "adapter"
    peft.save_pretrained(out)
    saved = json.loads((out / "adapter_config.json").read_text())
    saved["base_model_name_or_path"] = "base"
    if isinstance(saved["target_modules"], list):
        saved["target_modules"].sort()
    with safe_open(out / "adapter_model.safetensors", "pt") as file:
        tensors = {name: list(file.get_tensor(name).shape) for name in file.keys()}
    return dict(family=family, tied=tied, vocabulary=vocabulary, config=saved, tensors=tensors,
                trained=sorted(trained), scales=scales)


def main():
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        cases = [run(pathlib.Path(folder), *case) for case in CASES]
    out = pathlib.Path(__file__).with_suffix(".json")
    lines = ",\n".join(json.dumps(case) for case in cases)
    out.write_text(f'{{"shape": {json.dumps(SHAPE)},\n"cases": [\n{lines}]}}\n')


if __name__ == "__main__":
    main()
