# SPDX-License-Identifier: Apache-2.0
"""Times steps of PEFT on random tokens, every one labelled, QLoRA by bitsandbytes on a quantised
folder and LoRA on a dense one: peft_step.py MODEL/ BATCH LENGTH STEPS KIND [cpu|cuda]. KIND is bf16
or f32, with -checkpointing (of every layer) or -compiled (torch.compile) behind it, or unsloth:
bf16 as Unsloth trains, on a GPU. Prints what train_step prints, and on a GPU what torch
reserved of its memory at most, and of that allocated."""

import json
import statistics
import sys
import time

if sys.argv[5:6] == ["unsloth"]:
    import unsloth  # before what it changes
import peft
import torch
import transformers


def unsloth_model(folder, length):
    model, _ = unsloth.FastLanguageModel.from_pretrained(
        folder, max_seq_length=length, dtype=torch.bfloat16, load_in_4bit=True)
    return unsloth.FastLanguageModel.get_peft_model(
        model, r=16, lora_alpha=32, lora_dropout=0, bias="none", use_gradient_checkpointing=False,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])


def peft_model(folder, kind, device):
    compute, *how = kind.split("-")
    half = torch.bfloat16 if compute == "bf16" else torch.float32
    with open(f"{folder}/config.json") as file:
        quantized = "quantization_config" in json.load(file)
    # Of a quantised model what stays dense is f32 on the CPU; a dense one is what is asked for.
    dtype = half if not quantized else torch.float32 if device == "cpu" else torch.bfloat16
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, device_map=device)
    for module in model.modules():
        if hasattr(module, "compute_dtype"):
            module.compute_dtype = half
    if device == "cpu" and quantized:
        model.lm_head.float()  # tied to the embedding
    if "checkpointing" in how:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.train()
    config = peft.LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    model = peft.get_peft_model(model, config)  # adapters in f32
    return model, compute == "bf16" and quantized, "compiled" in how


def main(folder, batch, length, steps, kind, device="cpu"):
    if kind == "unsloth":
        model, mixed, compiled = unsloth_model(folder, length), True, False
    else:
        model, mixed, compiled = peft_model(folder, kind, device)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-4, weight_decay=0.0)
    torch.manual_seed(1)
    if compiled:
        model = torch.compile(model)
    ids = torch.randint(0, model.config.vocab_size, (batch, length), device=device)
    speeds, first = [], 0.0
    for step in range(steps + 1):
        start = time.perf_counter()
        # bf16 is mixed precision, as transformers' Trainer has it.
        with torch.autocast(device, torch.bfloat16, enabled=mixed):
            loss = model(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()
        took = time.perf_counter() - start
        if step > 0:
            speeds.append(batch * length / took)
        else:
            first = took
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) >> 10 for line in status if line.startswith("VmHWM"))
    print(json.dumps({
        "tokens_per_second": sorted(speeds), "median": statistics.median(speeds) if speeds else None,
        "reserved_device_mib": torch.cuda.max_memory_reserved() >> 20 if device != "cpu" else None,
        "allocated_device_mib": torch.cuda.max_memory_allocated() >> 20 if device != "cpu" else None,
        "loss": loss.item(), "adapter_dtype": str(trained[0].dtype), "peak_rss_mib": peak, "first_step_seconds": first,
    }))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
