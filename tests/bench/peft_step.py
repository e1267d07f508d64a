# SPDX-License-Identifier: Apache-2.0
"""Times QLoRA steps of PEFT + bitsandbytes on random tokens, every one labelled:
peft_step.py MODEL-NF4/ BATCH LENGTH STEPS bf16|f32 [cpu|cuda]. Prints what train_step prints."""

import json
import statistics
import sys
import time

import peft
import torch
import transformers


def main(folder, batch, length, steps, compute, device="cpu"):
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, device_map=device)
    for module in model.modules():
        if hasattr(module, "compute_dtype"):
            module.compute_dtype = torch.bfloat16 if compute == "bf16" else torch.float32
    if device == "cpu":
        model.lm_head.float()  # tied to the embedding
    config = peft.LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    model = peft.get_peft_model(model, config)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-4, weight_decay=0.0)
    torch.manual_seed(1)
    ids = torch.randint(0, model.config.vocab_size, (batch, length), device=device)
    speeds = []
    for step in range(steps + 1):
        start = time.perf_counter()
        # bf16 is mixed precision, as transformers' Trainer has it.
        with torch.autocast(device, torch.bfloat16, enabled=compute == "bf16"):
            loss = model(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()
        if step > 0:
            speeds.append(batch * length / (time.perf_counter() - start))
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) >> 10 for line in status if line.startswith("VmHWM"))
    print(json.dumps({
        "tokens_per_second": sorted(speeds), "median": statistics.median(speeds) if speeds else None,
        "loss": loss.item(), "adapter_dtype": str(trained[0].dtype), "peak_rss_mib": peak,
    }))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
