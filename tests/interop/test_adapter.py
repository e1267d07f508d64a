# SPDX-License-Identifier: Apache-2.0
"""Adapters both ways: PEFT's load here and give its losses and merged weights, ours load in PEFT,
and what nibble cannot compute it refuses by name."""

import json
import subprocess
import warnings

import peft
import pytest
import sentencepiece
import torch
from peft.utils.integrations import dequantize_bnb_weight
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from common import (assert_gradients, peft_gradients, random_rows, run, tiny_model, tool,
                    write_rows)

warnings.filterwarnings("ignore")

# name: family, changes of the model, vocabulary after resizing, LoraConfig
ADAPTERS = {
    "all-linear": ("llama", {}, None, dict(target_modules="all-linear")),
    "rslora": ("qwen3", {}, None, dict(target_modules=["q_proj", "down_proj"], use_rslora=True)),
    "rank-pattern": ("llama", {}, None, dict(
        target_modules="all-linear", rank_pattern={"q_proj": 3, r"layers\.1\.mlp\.\w+": 9},
        alpha_pattern={"model.layers.2.self_attn.v_proj": 31})),
    "expression": ("mistral", {}, None, dict(
        target_modules=r"model\.layers\.[02]\.self_attn\.(?!k_)\w+_proj")),
    "layers": ("llama", {}, None, dict(
        target_modules=["q_proj", "up_proj"], layers_to_transform=[0, 2],
        exclude_modules=["layers.2.mlp.up_proj"])),
    "one-layer": ("qwen3", {}, None, dict(
        target_modules=["k_proj", "gate_proj"], layers_to_transform=1, layers_pattern="layers")),
    "patterns-and-rslora": ("mistral", {}, None, dict(
        target_modules=["q_proj", "o_proj", "up_proj", "down_proj"], use_rslora=True,
        rank_pattern={r"^model\.layers\.0\..*_proj": 2, "up_proj": 11},
        alpha_pattern={"self_attn.o_proj": 5, r"layers\.[12]\.mlp\.(up|down)_proj": 40},
        layers_to_transform=[0, 1], modules_to_save=["layers.2.mlp.up_proj"])),
    "biases": ("qwen2", {}, None, dict(target_modules=["q_proj", "o_proj"], bias="all")),
    "lora-biases": ("llama-bias", {}, None, dict(
        target_modules=["q_proj", "up_proj"], bias="lora_only")),
    "tables": ("llama", {}, None, dict(
        target_modules=["v_proj"], modules_to_save=["embed_tokens", "lm_head"])),
    "norms-and-layer": ("qwen3", {}, None, dict(
        target_modules=["v_proj"], modules_to_save=["norm", "k_proj"])),
    "tied-embedding": ("llama-tied", {}, None, dict(
        target_modules=["v_proj"], modules_to_save=["embed_tokens"])),
    "tied-head": ("llama-tied", {}, None, dict(
        target_modules=["v_proj"], modules_to_save=["lm_head"])),
    "tied-both": ("llama-tied", {}, None, dict(
        target_modules=["v_proj"], modules_to_save=["lm_head", "embed_tokens"])),
    "tied-together": ("llama-tied", {}, None, dict(
        target_modules=["v_proj"], modules_to_save=["embed_tokens"], ensure_weight_tying=True)),
    "resized": ("llama", {}, 167, dict(target_modules=["v_proj"])),
    "resized-trained": ("llama", {}, 167, dict(
        target_modules=["v_proj"], modules_to_save=["embed_tokens", "lm_head"])),
    "resized-tied": ("llama-tied", {}, 167, dict(
        target_modules=["v_proj"], modules_to_save=["embed_tokens"], ensure_weight_tying=True)),
}


def peft_adapter(case, folder):
    """The model with random values in everything the adapter trains; base and adapter saved."""
    family, changes, vocabulary, options = ADAPTERS[case]
    tiny_model(family, folder / "base", seed=1, **changes)
    base = AutoModelForCausalLM.from_pretrained(folder / "base")
    torch.manual_seed(2)
    if vocabulary:
        base.resize_token_embeddings(vocabulary)
    config = peft.LoraConfig(
        r=6, lora_alpha=13, init_lora_weights=False, task_type="CAUSAL_LM", **options)
    model = peft.get_peft_model(base, config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn_like(parameter)
    model.save_pretrained(folder / "adapter")
    return model.eval()


@pytest.mark.parametrize("case", ADAPTERS)
def test_pefts_adapter_gives_its_losses_and_gradients(case, tmp_path):
    model = peft_adapter(case, tmp_path)
    rows = [row for row in random_rows(8, 30, 160, seed=3) if len(row["input_ids"]) > 1]
    write_rows(tmp_path / "rows.jsonl", rows)
    (tmp_path / "out").mkdir()
    run("step_dump", tmp_path / "base", tmp_path / "adapter", tmp_path / "rows.jsonl", "f32",
        tmp_path / "out")
    ours = load_file(tmp_path / "out" / "gradients.safetensors")
    losses = peft_gradients(model, rows)
    assert torch.allclose(ours.pop("losses"), losses, rtol=1e-5, atol=1e-5)
    assert_gradients(ours, model, case)


@pytest.mark.parametrize("case", ADAPTERS)
def test_merge_equals_merge_and_unload(case, tmp_path):
    model = peft_adapter(case, tmp_path)
    run("nibble-merge", "--model", tmp_path / "base", "--adapter", tmp_path / "adapter",
        "--type=f32", "-o", tmp_path / "merged")
    ours = load_file(tmp_path / "merged" / "model.safetensors")
    # f32 sums of r products in any order, the scale and the sum with W: r + 3 roundings each side.
    bounds = {}
    for name, module in model.named_modules():
        if isinstance(module, peft.tuners.lora.LoraLayer):
            a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
            size = module.scaling["default"] * (b.abs() @ a.abs()) + module.base_layer.weight.abs()
            key = name.removeprefix("base_model.model.") + ".weight"
            bounds[key] = 2 * (a.shape[0] + 3) * 2.0**-24 * size.detach()
    merged = model.merge_and_unload()
    theirs = merged.state_dict()
    if "lm_head.weight" not in ours:  # tied
        assert torch.equal(theirs.pop("lm_head.weight"), theirs["model.embed_tokens.weight"])
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        assert ours[name].shape == weight.shape, name
        difference = (ours[name] - weight).abs()
        assert (difference <= bounds.get(name, torch.zeros(()))).all(), (name, difference.max())
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    ids = torch.tensor([[1, 5, 77, 12, 140, 9]])
    with torch.no_grad():
        assert torch.allclose(loaded(ids).logits, merged(ids).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("quantized", ["nf4", "fp4", "int8"])
def test_merge_into_a_quantised_base(quantized, tmp_path):
    tiny_model("llama", tmp_path / "dense", seed=1)
    run("nibble-quantize", tmp_path / "dense", "--type", quantized, "-o", tmp_path / "base")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    torch.manual_seed(2)
    model = peft.get_peft_model(base, peft.LoraConfig(
        r=6, lora_alpha=13, init_lora_weights=False, target_modules="all-linear",
        task_type="CAUSAL_LM"))
    model.save_pretrained(tmp_path / "adapter")
    for kind, folder in (("f32", "merged"), ("keep", "again")):
        run("nibble-merge", "--model", tmp_path / "base", "--adapter", tmp_path / "adapter",
            "--type", kind, "-o", tmp_path / folder)
    ours = load_file(tmp_path / "merged" / "model.safetensors")
    layers = 0
    for name, module in model.named_modules():
        if not isinstance(module, peft.tuners.lora.LoraLayer):
            continue
        layers += 1
        weight = dequantize_bnb_weight(module.base_layer.weight, state=module.base_layer.state
                                       if quantized == "int8" else None).float()
        delta = module.get_delta_weight("default")
        a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
        bound = 2 * 9 * 2.0**-24 * (module.scaling["default"] * (b.abs() @ a.abs()) + weight.abs())
        got = ours[name.removeprefix("base_model.model.") + ".weight"]
        assert ((got - weight - delta).abs() <= bound).all(), name
    assert layers == 21
    # Quantised again, transformers and bitsandbytes load it.
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "again")
    assert again.config.quantization_config.quant_method == "bitsandbytes"
    with torch.no_grad():
        assert torch.isfinite(again(torch.tensor([[1, 5, 77]])).logits).all()


@pytest.mark.parametrize("case", ADAPTERS)
def test_ours_loads_in_peft(case, tmp_path):
    model = peft_adapter(case, tmp_path)
    run("adapter_io", "copy", tmp_path / "base", tmp_path / "adapter", tmp_path / "ours")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    if vocabulary := ADAPTERS[case][2]:
        base.resize_token_embeddings(vocabulary)
    loaded = peft.PeftModel.from_pretrained(base, tmp_path / "ours").eval()
    ids = torch.tensor([[1, 5, 77, 12, 140, 9]])
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, model(ids).logits)
    before = peft.PeftConfig.from_pretrained(tmp_path / "adapter").to_dict()
    after = peft.PeftConfig.from_pretrained(tmp_path / "ours").to_dict()
    # Ways to initialise are history; "all-linear" is spelled out in two ways.
    for name in {"init_lora_weights", "peft_version"} | (
            {"target_modules"} if case in ("all-linear", "rank-pattern") else set()):
        before.pop(name), after.pop(name)
    for config in (before, after):
        if config["layers_pattern"] == "layers":  # what it is where it is not given
            config["layers_pattern"] = None
        if isinstance(config["layers_to_transform"], int):
            config["layers_to_transform"] = [config["layers_to_transform"]]
        for name, value in config.items():
            if isinstance(value, (list, set)):
                config[name] = sorted(map(str, value))
    assert before == after


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_adapters(dtype, tmp_path):
    model = peft_adapter("all-linear", tmp_path)
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    save_file({name: t.to(dtype) for name, t in load_file(file).items()}, file)
    run("adapter_io", "copy", tmp_path / "base", tmp_path / "adapter", tmp_path / "ours")
    ours = load_file(tmp_path / "ours" / "adapter_model.safetensors")
    for name, tensor in load_file(file).items():
        assert ours[name].dtype == torch.float32
        assert torch.equal(ours[name], tensor.float()), name


REFUSED = {
    "use_dora": (peft.LoraConfig, dict(target_modules=["q_proj"], use_dora=True)),
    "lora_bias": (peft.LoraConfig, dict(target_modules=["q_proj"], lora_bias=True)),
    "trainable_token_indices": (
        peft.LoraConfig, dict(target_modules=["q_proj"], trainable_token_indices=[3, 5])),
    "model.embed_tokens": (peft.LoraConfig, dict(target_modules=["embed_tokens", "q_proj"])),
    "lm_head": (peft.LoraConfig, dict(target_modules=["lm_head", "q_proj"])),
    "pissa": (peft.LoraConfig, dict(target_modules=["q_proj"], init_lora_weights="pissa")),
    "IA3": (peft.IA3Config, dict(target_modules=["q_proj"], feedforward_modules=[])),
    "PREFIX_TUNING": (peft.PrefixTuningConfig, dict(num_virtual_tokens=4)),
}


def assert_refused(folder, what):
    done = subprocess.run(
        [tool("nibble-merge"), "--model", folder / "base", "--adapter", folder / "adapter",
         "-o", folder / "merged"], capture_output=True, text=True)
    assert done.returncode == 69, done.stderr
    assert done.stderr.count("\n") == 1 and what in done.stderr, done.stderr
    assert not (folder / "merged").exists()


@pytest.mark.parametrize("what", REFUSED)
def test_refused_by_name(what, tmp_path):
    config_class, options = REFUSED[what]
    base = tiny_model("llama", tmp_path / "base")
    model = peft.get_peft_model(base, config_class(task_type="CAUSAL_LM", **options))
    model.save_pretrained(tmp_path / "adapter")
    assert_refused(tmp_path, what)


# Members of LoraConfig that change what is computed, as an adapter would have them.
MEMBERS = {
    "fan_in_fan_out": True, "use_qalora": True, "target_parameters": ["mlp.experts.gate_up_proj"],
    "layer_replication": [[0, 2], [1, 3]], "alora_invocation_tokens": [5, 7],
    "megatron_config": {"a": 1}, "velora_config": {"a": 1}, "monteclora_config": {"a": 1},
    "use_bdlora": {"a": 1}, "arrow_config": {"a": 1}, "kasa_config": {"a": 1},
    "a_member_of_tomorrow": 1,
}
# And those that say how A and B began, or nothing about what they are now.
KNOWN = {
    "task_type", "peft_type", "auto_mapping", "base_model_name_or_path", "revision", "peft_version",
    "inference_mode", "r", "target_modules", "exclude_modules", "lora_alpha", "lora_dropout", "bias",
    "use_rslora", "modules_to_save", "init_lora_weights", "layers_to_transform", "layers_pattern",
    "rank_pattern", "alpha_pattern", "megatron_core", "loftq_config", "eva_config", "corda_config",
    "lora_ga_config", "qalora_group_size", "ensure_weight_tying", "use_dora", "lora_bias",
    "trainable_token_indices",
}


def test_every_member_is_known():
    """A new PEFT's members are looked at before its version is pinned."""
    members = set(peft.LoraConfig(target_modules=["q_proj"]).to_dict())
    assert members - {"runtime_config"} <= KNOWN | set(MEMBERS)


@pytest.mark.parametrize("what", [*MEMBERS, "layers_pattern"])
def test_members_that_change_the_sum_are_refused(what, tmp_path):
    base = tiny_model("llama", tmp_path / "base")
    config = peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"])
    peft.get_peft_model(base, config).save_pretrained(tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_config.json"
    members = json.loads(file.read_text()) | {what: MEMBERS.get(what, ["h"])}
    file.write_text(json.dumps(members))
    assert_refused(tmp_path, what)


@pytest.mark.parametrize("tied", [False, True])
def test_added_tokens_load_in_peft(tied, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("".join(f"people live in towns, number {i}\n" for i in range(300)))
    run("nibble-init", "--corpus", corpus, "--vocab-size=300", "--layers=2", "--hidden-size=32",
        *(["--tied"] if tied else []), "-o", tmp_path / "base", "-q")
    (tmp_path / "tokens").write_text('<tool>\n{"content": "<eot>", "special": true}\n')
    run("adapter_io", "tokens", tmp_path / "base", tmp_path / "tokens", tmp_path / "adapter")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "adapter")
    assert len(tokenizer) == 302
    assert tokenizer.convert_tokens_to_ids(["<tool>", "<eot>"]) == [300, 301]
    assert 300 in tokenizer("a<tool>b").input_ids
    model = peft.AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter")
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    assert embedding.shape == (302, 32)
    assert torch.equal(embedding, saved["base_model.model.model.embed_tokens.weight"])
    assert torch.equal(head, saved["base_model.model.lm_head.weight"])
    assert torch.equal(embedding, head) == tied
    base = load_file(tmp_path / "base" / "model.safetensors")["model.embed_tokens.weight"]
    assert torch.equal(embedding[:300], base)
    # Drawn around the mean with 1e-9 times the covariance: ten deviations hold all.
    assert ((embedding[300:] - base.mean(0)).abs() < 10 * 1e-9**0.5 * base.std(0)).all()


def test_initial_models_load_in_transformers(tmp_path):
    corpus = tmp_path / "corpus.txt"
    words = "the people of this town live by the river and keep 12 cats, déjà vu".split()
    corpus.write_text("".join(" ".join(words[i % 7:i % 13 + 3]) + f" {i}\n" for i in range(900)))
    for family in ("llama", "mistral", "qwen2", "qwen3"):
        folder = tmp_path / family
        vocabulary = [] if family.startswith("qwen") else ["--corpus", corpus]
        run("nibble-init", *vocabulary, "--vocab-size=340", "--layers=2", "--hidden-size=64",
            "--heads=4", "--kv-heads=2", "--family", family, "-o", folder, "-q")
        model = AutoModelForCausalLM.from_pretrained(folder)
        assert model.config.model_type == family
        stored = load_file(folder / "model.safetensors")
        assert stored.keys() == model.state_dict().keys()
        for name, parameter in model.state_dict().items():
            assert torch.equal(parameter, stored[name]), name
            if parameter.ndim == 2:  # five deviations of a sample's deviation
                assert abs(parameter.std() - 0.02) < 5 * 0.02 / (2 * parameter.numel()) ** 0.5
        with torch.no_grad():
            assert torch.isfinite(model(torch.tensor([[1, 9, 300]])).logits).all()
        if vocabulary:
            assert model.config.eos_token_id == model.generation_config.eos_token_id == 2
            tokenizer = AutoTokenizer.from_pretrained(folder)
            assert len(tokenizer) == 340 and tokenizer.bos_token_id == 1
        if family == "llama":  # transformers 5.23 puts no space before a Mistral's text
            model_file = str(folder / "tokenizer.model")
            theirs = sentencepiece.SentencePieceProcessor(model_file=model_file)
            ids = tokenizer("the people of 12 towns, déjà").input_ids
            assert ids == [1] + theirs.encode("the people of 12 towns, déjà")
            assert tokenizer.decode(ids[1:]) == "the people of 12 towns, déjà"
