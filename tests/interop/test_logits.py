# SPDX-License-Identifier: Apache-2.0
"""Logits of every family, dense and quantised, and of SmolLM2, against transformers and
bitsandbytes on the same folders."""

import pytest
import torch
import transformers

from common import DATA, FAMILIES, model_logits, nibble_logits, random_rows, run, tiny_model
from quantized import SCHEMES, compute_in, dense_model, load


def rows_of(vocabulary):
    """Lengths 1 to 90: beyond a window, past where few rows have a path of their own."""
    rows = [row["input_ids"] for row in random_rows(6, 90, vocabulary, seed=13)]
    return [[5], [7, 8], *rows]


def rms(x):
    return x.pow(2).mean().sqrt().item()


def assert_equal_in_f32(ours, theirs, layers, width, what):
    """Both round sums of up to `width` products a few times a layer; rounding errors of either sign
    grow with the square root of their number, and ten such deviations are never met by chance."""
    bound = 10 * 2.0**-24 * (10 * layers * width) ** 0.5
    error = (ours - theirs).abs().max().item() / rms(theirs)
    print(f"{what}: largest difference / RMS of logits {error:.1e}, bound {bound:.1e}")
    assert error <= bound
    assert bound < 1e-4


def assert_rounds_no_worse(ours, theirs, exact, what):
    """In bf16 each rounds activations where it likes: nibble must be no further from the fp32
    logits than transformers is. RMS over N tokens, whose errors differ from token to token, has a
    relative deviation of 1 / sqrt(2N), a ratio of two of them 1 / sqrt(N); four are allowed. Where
    the likeliest token leads by more than transformers' errors could close, it is the same."""
    mine, other = rms(ours - exact), rms(theirs - exact)
    slack = 1 + 4 / len(exact) ** 0.5
    top = exact.topk(2).values
    error = theirs - exact
    clear = top[:, 0] - top[:, 1] > (error.amax(1) - error.amin(1)).max()
    same = (ours.argmax(1) == exact.argmax(1)), (theirs.argmax(1) == exact.argmax(1))
    print(f"{what}: RMS error {mine:.2e}, transformers' {other:.2e}, of logits {rms(exact):.2f}; "
          f"{len(exact)} likeliest tokens, not fp32's {int((~same[0]).sum())}, transformers' "
          f"{int((~same[1]).sum())}; {int(clear.sum())} are clear")
    assert mine <= slack * other
    assert clear.any() and same[0][clear].all()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family, tmp_path):
    model = tiny_model(family, tmp_path / "model", seed=21)
    rows = rows_of(160)
    ours = nibble_logits(tmp_path / "model", rows, "f32", tmp_path)
    assert_equal_in_f32(ours, model_logits(model, rows), 3, 128, family)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_quantised(family, scheme, tmp_path):
    tiny_model(family, tmp_path / "dense", seed=22)
    options, config = SCHEMES[scheme]
    folder = tmp_path / "quantised"
    head = "--skip=none" if scheme == "nf4" else "--skip=lm_head"
    run("nibble-quantize", tmp_path / "dense", "-o", folder, head, *options)
    rows = rows_of(160)
    ours = nibble_logits(folder, rows, "f32", tmp_path)
    exact = model_logits(dense_model(folder), rows)
    assert_equal_in_f32(ours, exact, 3, 128, f"{family} {scheme}")
    if config["quant"] == "int8":
        return  # bitsandbytes rounds activations to 8 bits too; nibble does not
    theirs = model_logits(compute_in(load(folder), torch.float32), rows)
    assert_equal_in_f32(ours, theirs, 3, 128, f"{family} {scheme}, bitsandbytes")


@pytest.mark.parametrize("scheme", ["nf4-nested", "fp4-nested"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_in_bf16(family, scheme, tmp_path):
    tiny_model(family, tmp_path / "dense", seed=23, dtype=torch.bfloat16)
    folder = tmp_path / "quantised"
    run("nibble-quantize", tmp_path / "dense", "-o", folder, *SCHEMES[scheme][0])
    rows = rows_of(160)
    assert_rounds_no_worse(
        nibble_logits(folder, rows, "bf16", tmp_path), model_logits(load(folder), rows),
        model_logits(dense_model(folder), rows), f"{family} {scheme}")


@pytest.fixture(scope="session")
def texts(smollm2):
    """Real prose and verse, an instruction with special tokens: ids of a few hundred tokens each."""
    if DATA is None:
        pytest.skip("needs NIBBLE_DATA")
    tokenizer = transformers.AutoTokenizer.from_pretrained(smollm2)
    read = lambda name: (DATA / "text" / name).read_text()[4000:8000]
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Why does cheese have holes?"},
         {"role": "assistant", "content": "Bacteria make gas in it as it ripens."}], tokenize=False)
    rows = [tokenizer(text, add_special_tokens=False).input_ids[:320]
            for text in (read("wikitext2_valid.txt"), read("tinyshakespeare.txt"), chat)]
    assert sum(map(len, rows)) > 600
    return rows


def test_smollm2(smollm2, texts, tmp_path):
    """From the same folder: Q4_1 made bf16, and NF4 made fp32."""
    run("nibble-quantize", smollm2, "-o", tmp_path / "nf4", "-q")
    run("nibble-export", tmp_path / "nf4", "--type=f32", "-o", tmp_path / "dense", "-q")
    for folder in (smollm2, tmp_path / "dense"):
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        ours = nibble_logits(folder, texts, "f32", tmp_path)
        worst = (ours - model_logits(model.eval(), texts)).abs().max().item()
        print(f"SmolLM2, {folder.name}: largest difference of {len(ours)} tokens' logits {worst:.1e}")
        assert worst <= 1e-3


@pytest.mark.parametrize("scheme", SCHEMES)
def test_smollm2_quantised(scheme, smollm2, texts, tmp_path):
    options, config = SCHEMES[scheme]
    folder = tmp_path / "quantised"
    run("nibble-quantize", smollm2, "-o", folder, "-q", *options)
    exact = model_logits(dense_model(folder), texts)
    ours = nibble_logits(folder, texts, "f32", tmp_path)
    worst = (ours - exact).abs().max().item()
    print(f"SmolLM2 {scheme} in fp32: largest difference from its dequantised weights' {worst:.1e}")
    assert worst <= 1e-3
    if config["quant"] == "int8":
        return
    theirs = model_logits(load(folder), texts)
    ours = nibble_logits(folder, texts, "bf16", tmp_path)
    assert_rounds_no_worse(ours, theirs, exact, f"SmolLM2 {scheme} in bf16")
    model = compute_in(load(folder), torch.float32)
    worst = (nibble_logits(folder, texts, "f32", tmp_path) - model_logits(model, texts)).abs().max()
    print(f"SmolLM2 {scheme} in fp32: largest difference from bitsandbytes' {worst:.1e}")
    assert worst <= 1e-3
