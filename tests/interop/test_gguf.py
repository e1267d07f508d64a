# SPDX-License-Identifier: Apache-2.0
"""GGUF in and out: blocks against the gguf package, imports against transformers' own reading of
the same file, exports and adapters run by llama.cpp itself."""

import json
import shutil

import gguf
import llama_cpp
import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file

from common import DATA, FAMILIES, run, tiny_model

VOCABULARY = 320
TOKENS = 32
TYPES = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1"]
DECODED = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K",
           "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]
# Where a type's f16 scales lie in its block; random bytes there could be infinities.
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82],
          "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0],
          "IQ4_XS": [0]}
# llama.cpp's converter's names and ours.
PARTS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
         "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj", "attn_q_norm": "self_attn.q_norm",
         "attn_k_norm": "self_attn.k_norm"}
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
TEMPLATE = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory):
    """A SentencePiece vocabulary of our own, with a chat template."""
    folder = tmp_path_factory.mktemp("tokenizer")
    lines = [f"Person {i} lives in town {i * 7 % 31} and keeps {i % 5} cats." for i in range(300)]
    (folder / "corpus.txt").write_text("\n".join(lines))
    run("nibble-init", "-o", folder / "m", f"--corpus={folder / 'corpus.txt'}",
        f"--vocab-size={VOCABULARY}", "--layers=1", "--hidden-size=32", "--heads=2", "-q")
    config = folder / "m" / "tokenizer_config.json"
    settings = json.loads(config.read_text())
    settings["chat_template"] = TEMPLATE
    config.write_text(json.dumps(settings))
    return folder / "m"


def with_tokenizer(folder, tokenizer_folder):
    for name in ("tokenizer.model", "tokenizer_config.json"):
        shutil.copy(tokenizer_folder / name, folder / name)


def hf_name(name):
    parts = name.split(".")
    if parts[0] != "blk":
        return WHOLE[parts[0]] + "." + parts[1]
    return f"model.layers.{parts[1]}.{PARTS[parts[2]]}.{parts[3]}"


def from_interleaved(w, head_dim):
    """LLaMA's q and k rows as Hugging Face has them."""
    heads = w.shape[0] // head_dim
    return w.reshape(heads, head_dim // 2, 2, -1).swapaxes(1, 2).reshape(w.shape)


def read_gguf(path):
    """Every tensor as floats, dequantised by the gguf package."""
    reader = gguf.GGUFReader(path)
    return {t.name: gguf.dequantize(t.data, t.tensor_type).astype(np.float32).reshape(
        tuple(reversed(t.shape.tolist()))) for t in reader.tensors}


def string(path, key):
    field = gguf.GGUFReader(path).fields[key]
    return bytes(field.parts[-1]).decode()


def greedy(path, prompt, count=TOKENS, **options):
    model = llama_cpp.Llama(str(path), n_ctx=256, n_threads=1, verbose=False, **options)
    out = []
    for token in model.generate(prompt, top_k=1, temp=0.0):
        out.append(token)
        if len(out) == count:
            return out


def reference(model, prompt, count=TOKENS):
    ids = model.generate(torch.tensor([prompt]), max_new_tokens=count, min_new_tokens=count,
                         do_sample=False, eos_token_id=None, pad_token_id=0)
    return ids[0].tolist()[len(prompt):]


def random_blocks(rng, name, rows, columns):
    kind = gguf.GGMLQuantizationType[name]
    block, size = gguf.GGML_QUANT_SIZES[kind]
    count = rows * columns // block
    if name in ("F32", "F16"):
        return (rng.standard_normal((rows, columns)) * 0.1).astype(
            np.float32 if name == "F32" else np.float16)
    if name == "BF16":
        return gguf.quantize((rng.standard_normal((rows, columns)) * 0.1).astype(np.float32), kind)
    blocks = rng.integers(0, 256, (count, size), np.uint8)
    for at in SCALES[name]:
        scales = (rng.standard_normal(count) * 0.01).astype(np.float16)
        blocks[:, at : at + 2] = scales.view(np.uint8).reshape(count, 2)
    return blocks.reshape(rows, -1)


def write_llama(path, name, tokenizer_folder, seed=0):
    """A LLaMA of one layer whose matrices are random blocks of that type."""
    rng = np.random.default_rng(seed)
    kind = gguf.GGMLQuantizationType[name]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(256)
    writer.add_feed_forward_length(512)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(64)
    pieces = [(f"<0x{i:02X}>", 6) for i in range(256)]
    pieces = [("<unk>", 2), ("<s>", 3), ("</s>", 3)] + pieces + [("▁", 1), ("a", 1), ("▁a", 1)]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([p for p, _ in pieces])
    writer.add_token_scores([-float(i) for i in range(len(pieces))])
    writer.add_token_types([t for _, t in pieces])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    shapes = {"token_embd": (len(pieces), 256), "output": (len(pieces), 256),
              "blk.0.attn_q": (256, 256), "blk.0.attn_k": (128, 256), "blk.0.attn_v": (128, 256),
              "blk.0.attn_output": (256, 256), "blk.0.ffn_gate": (512, 256),
              "blk.0.ffn_up": (512, 256), "blk.0.ffn_down": (256, 512)}
    for tensor, (rows, columns) in shapes.items():
        blocks = random_blocks(rng, name, rows, columns)
        writer.add_tensor(tensor + ".weight", blocks, raw_dtype=kind)
    for tensor in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(tensor + ".weight", rng.standard_normal(256).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("name", DECODED)
def test_import_decodes_like_gguf_and_transformers(tmp_path, tokenizer_folder, name):
    write_llama(tmp_path / "x.gguf", name, tokenizer_folder)
    run("nibble-import", tmp_path / "x.gguf", "-o", tmp_path / "m", "--dtype=f32", "-q")
    ours = load_file(tmp_path / "m" / "model.safetensors")
    theirs = read_gguf(tmp_path / "x.gguf")
    assert len(ours) == len(theirs)
    for key, w in theirs.items():
        if ".attn_q." in key or ".attn_k." in key:
            w = from_interleaved(w, 64)
        mine = ours[hf_name(key)].numpy()
        assert np.array_equal(mine.view(np.uint32), w.view(np.uint32)), key
    # transformers' own way to read the file.
    model = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, gguf_file="x.gguf", dtype=torch.float32)
    for key, w in model.state_dict().items():
        assert torch.equal(ours[key], w), key
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32)
    ids = torch.arange(3, 40)[None]
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, model(ids).logits)


def export_settings(family):
    # llama.cpp has no sliding window for Mistral: wider than what is generated.
    return dict(sliding_window=100) if family == "mistral" else {}


@pytest.mark.parametrize("family", FAMILIES)
def test_llama_cpp_runs_every_family(tmp_path, tokenizer_folder, family):
    folder = tmp_path / "m"
    model = tiny_model(family, folder, vocab_size=VOCABULARY, **export_settings(family))
    with_tokenizer(folder, tokenizer_folder)
    run("nibble-export", folder, "-o", tmp_path / "x.gguf", "--type=f32", "-q")
    prompt = [1, 300, 301, 270, 265, 290]
    assert greedy(tmp_path / "x.gguf", prompt) == reference(model, prompt)
    assert string(tmp_path / "x.gguf", "tokenizer.chat_template") == TEMPLATE
    # And back: the same weights, the same tokenizer.
    run("nibble-import", tmp_path / "x.gguf", "-o", tmp_path / "back", "-q")
    back = load_file(tmp_path / "back" / "model.safetensors")
    for key, w in load_file(folder / "model.safetensors").items():
        assert torch.equal(back[key], w), key
    assert (tmp_path / "back" / "tokenizer.model").read_bytes() == (
        folder / "tokenizer.model").read_bytes()


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_type_is_what_gguf_quantizes(tmp_path, tokenizer_folder, family, type_):
    folder = tmp_path / "m"
    tiny_model(family, folder, vocab_size=VOCABULARY, **export_settings(family))
    with_tokenizer(folder, tokenizer_folder)
    run("nibble-export", folder, "-o", tmp_path / "x.gguf", f"--type={type_}", "-q")
    weights = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    interleaved = config["model_type"] in ("llama", "mistral")
    seen = 0
    for t in gguf.GGUFReader(tmp_path / "x.gguf").tensors:
        if t.name == "rope_freqs.weight":
            continue
        w = weights[hf_name(t.name)].numpy()
        if interleaved and (".attn_q." in t.name or ".attn_k." in t.name):
            heads = w.shape[0] // head_dim
            w = w.reshape(heads, 2, head_dim // 2, -1).swapaxes(1, 2).reshape(w.shape)
        want = gguf.quantize(np.ascontiguousarray(w), t.tensor_type)
        assert want.tobytes() == t.data.tobytes(), t.name
        seen += 1
        four_bits = type_.startswith("q4") and t.name in ("token_embd.weight", "output.weight")
        expected = "F32" if w.ndim == 1 else "Q8_0" if four_bits else type_.upper()
        assert t.tensor_type.name == expected, t.name
    tied = config.get("tie_word_embeddings")
    assert seen == len([k for k in weights if not (tied and k == "lm_head.weight")])
    assert len(greedy(tmp_path / "x.gguf", [1, 300, 301, 270])) == TOKENS


@pytest.mark.parametrize("type_", ["f32", "bf16"])
@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3"])
def test_llama_cpp_runs_adapters(tmp_path, tokenizer_folder, family, type_):
    folder = tmp_path / "m"
    model = tiny_model(family, folder, vocab_size=VOCABULARY, **export_settings(family))
    with_tokenizer(folder, tokenizer_folder)
    run("nibble-export", folder, "-o", tmp_path / "x.gguf", "--type=f32", "-q")
    config = peft.LoraConfig(r=4, lora_alpha=24, target_modules="all-linear", use_rslora=True,
                             rank_pattern={"v_proj": 8}, alpha_pattern={"up_proj": 5},
                             task_type="CAUSAL_LM")
    adapted = peft.get_peft_model(model, config).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for name, p in adapted.named_parameters():
            if ".lora_" in name:
                # On bf16's grid, so that both types store the same.
                p.copy_((0.1 * torch.randn_like(p)).bfloat16().float())
    adapted.save_pretrained(tmp_path / "a")
    run("nibble-export", folder, f"--adapter={tmp_path / 'a'}", "-o", tmp_path / "a.gguf",
        f"--type={type_}", "-q")
    prompt = [1, 300, 301, 270, 265, 290]
    with adapted.disable_adapter():
        plain = reference(adapted, prompt)
    want = reference(adapted, prompt)
    assert want != plain
    got = greedy(tmp_path / "x.gguf", prompt, lora_path=str(tmp_path / "a.gguf"))
    if type_ == "f32":
        assert got == want
    else:  # scales that went into lora_b are rounded: the next token is the same, and it runs on
        assert got[0] == want[0] and len(got) == TOKENS


def test_quantized_folders_pass_through_and_export(tmp_path, tokenizer_folder):
    import bitsandbytes.functional as F

    tiny_model("llama", tmp_path / "m", vocab_size=VOCABULARY, dtype=torch.bfloat16)
    config = transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "m", quantization_config=config, device_map="cpu", dtype=torch.bfloat16)
    model.save_pretrained(tmp_path / "q")
    with_tokenizer(tmp_path / "q", tokenizer_folder)
    run("nibble-import", tmp_path / "q", "-o", tmp_path / "in", "-q")
    theirs = load_file(tmp_path / "q" / "model.safetensors")
    ours = load_file(tmp_path / "in" / "model.safetensors")
    assert ours.keys() == theirs.keys()
    for key in ours:
        assert torch.equal(ours[key], theirs[key]), key
    run("nibble-inspect", tmp_path / "in", "--verify")

    run("nibble-export", tmp_path / "in", "-o", tmp_path / "dense", "--max-shard-size=100kB", "-q")
    run("nibble-export", tmp_path / "in", "-o", tmp_path / "x.gguf", "--type=bf16", "-q")
    dense = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "dense", dtype="auto")
    checked = 0
    for name, module in model.named_modules():
        if not hasattr(getattr(module, "weight", None), "quant_state"):
            continue
        want = F.dequantize_4bit(module.weight.data, module.weight.quant_state)
        assert torch.equal(dense.get_submodule(name).weight, want), name
        checked += 1
    assert checked == 3 * 7
    assert len(list((tmp_path / "dense").glob("model-*.safetensors"))) > 1
    assert len(greedy(tmp_path / "x.gguf", [1, 300, 301])) == TOKENS


needs_data = pytest.mark.skipif(DATA is None, reason="NIBBLE_DATA is not set")


def golden_texts(name):
    folder = DATA / "tokenizers" / "golden"
    texts = (folder / f"ggml-vocab-{name}.gguf.inp").read_text().split("\n__ggml_vocab_test__\n")
    lines = (folder / f"ggml-vocab-{name}.gguf.out").read_text().splitlines()
    ids = [[int(i) for i in line.split()] for line in lines]
    return list(zip(texts, ids))


@needs_data
@pytest.mark.parametrize(
    "name,source",
    [("llama-bpe", "llama3"), ("qwen2", "qwen3"), ("gpt-2", "gpt2"), ("llama-spm", "llama2"),
     ("", "smollm2")])
def test_exported_tokenizers_give_the_golden_ids(tmp_path, name, source):
    folder = DATA / "tokenizers" / source
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    tiny_model("llama", tmp_path / "m", vocab_size=len(tokenizer), hidden_size=32,
               intermediate_size=32, num_hidden_layers=1, bos_token_id=0, eos_token_id=0)
    if source == "llama2":
        golden = golden_texts(name)
        forms = [["tokenizer.model"], ["tokenizer.json"]]  # scores, and scores out of merges
    else:
        golden = golden_texts(name or "gpt-2")
        forms = [["tokenizer.json"]]
    if not name:  # no golden file: Hugging Face's ids of the same texts
        golden = [(text, tokenizer(text, add_special_tokens=False)["input_ids"])
                  for text, _ in golden]
    assert len(golden) >= 40
    for i, files in enumerate(forms):
        for old in ("tokenizer.model", "tokenizer.json"):
            (tmp_path / "m" / old).unlink(missing_ok=True)
        for file in files:
            shutil.copy(folder / file, tmp_path / "m" / file)
        run("nibble-export", tmp_path / "m", "-o", tmp_path / f"{i}.gguf", "--type=f16", "-q")
        model = llama_cpp.Llama(str(tmp_path / f"{i}.gguf"), vocab_only=True, verbose=False)
        for text, ids in golden:
            assert model.tokenize(text.encode(), add_bos=False, special=False) == ids, text


@needs_data
@pytest.mark.parametrize(
    "pre", ["llama-bpe", "smaug-bpe", "qwen2", "smollm", "gpt-2", "tekken", "default"])
def test_imported_pretokenizers_cut_like_llama_cpp(tmp_path, pre):
    """GPT-2's vocabulary under every name of a pre-tokenizer."""
    document = json.loads((DATA / "tokenizers" / "gpt2" / "tokenizer.json").read_text())
    tokens = sorted(document["model"]["vocab"], key=document["model"]["vocab"].get)
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "llama")
    for add, value in [(writer.add_block_count, 1), (writer.add_context_length, 64),
                       (writer.add_embedding_length, 8), (writer.add_feed_forward_length, 8),
                       (writer.add_head_count, 2), (writer.add_layer_norm_rms_eps, 1e-5),
                       (writer.add_rope_dimension_count, 4)]:
        add(value)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if t == "<|endoftext|>" else 1 for t in tokens])
    writer.add_token_merges(document["model"]["merges"])
    writer.add_bos_token_id(50256)
    writer.add_eos_token_id(50256)
    shapes = {"token_embd": (len(tokens), 8), "output_norm": (8,), "blk.0.attn_norm": (8,),
              "blk.0.ffn_norm": (8,)}
    for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        shapes[f"blk.0.{part}"] = (8, 8)
    for name, shape in shapes.items():
        writer.add_tensor(name + ".weight", np.ones(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    run("nibble-import", tmp_path / "x.gguf", "-o", tmp_path / "m", "-q")
    ours = transformers.AutoTokenizer.from_pretrained(tmp_path / "m")
    theirs = llama_cpp.Llama(str(tmp_path / "x.gguf"), vocab_only=True, verbose=False)
    texts = [text for text, _ in golden_texts("gpt-2")]
    texts += (DATA / "text" / "wikitext2_valid.txt").read_text()[:100000].split("\n")
    for text in texts:
        want = theirs.tokenize(text.encode(), add_bos=False, special=False)
        assert ours(text, add_special_tokens=False)["input_ids"] == want, text


@needs_data
def test_stories260K(tmp_path):
    stories = DATA / "models" / "stories260K"
    golden = json.loads((stories / "golden.json").read_text())["greedy_ids"]
    for form in ("stories260K.gguf", "stories260K.bin", ""):
        folder = tmp_path / (form or "folder")
        run("nibble-import", stories / form, "-o", folder, "-q")
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        assert [1] + reference(model, [1], len(golden) - 1) == golden
    run("nibble-export", tmp_path / "stories260K.bin", "-o", tmp_path / "x.gguf", "-q")
    assert greedy(tmp_path / "x.gguf", [1], 199) == golden[1:200]


def test_smollm2(smollm2_gguf, smollm2, tmp_path):
    ours = load_file(smollm2 / "model.safetensors")
    theirs = read_gguf(smollm2_gguf)
    assert len(ours) == len(theirs) == 272
    for key, w in theirs.items():
        if ".attn_q." in key or ".attn_k." in key:
            w = from_interleaved(w, 64)
        mine = ours[hf_name(key)]
        assert torch.equal(torch.from_numpy(w.copy()).to(mine.dtype), mine), key
    run("nibble-export", smollm2, "-o", tmp_path / "x.gguf", "--type=f32", "-q")
    tokenizer = transformers.AutoTokenizer.from_pretrained(smollm2)
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "Name 3 cheeses."}],
                                           add_generation_prompt=True, return_dict=False)
    model = transformers.AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)
    assert greedy(tmp_path / "x.gguf", prompt) == reference(model, prompt)
    assert string(tmp_path / "x.gguf", "tokenizer.chat_template") == tokenizer.chat_template
