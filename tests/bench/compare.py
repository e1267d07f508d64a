# SPDX-License-Identifier: Apache-2.0
"""Times nibble beside its peers, in turn, on the same cores, and prints a Markdown table of medians:

    compare.py MODEL/ TEXT [ROW...]      MODEL: a dense folder (SmolLM2-135M); TEXT: some MB of text

Rows: train train-layer train-long train-f32 prompts decode perplexity quantize tokenize start preprocess
near-duplicates (all when none is named). When named: train-lora (dense, PEFT compiled too), decode-int8 (the
head in 8 bits, as llama.cpp's is), scaling (nibble alone, one core and all: train, prompts, decode, tokenize,
quantize and memory, or those named after it), large (a step of 1.1 billion weights beside oneDNN's products).
all.sh runs the lot. preprocess and near-duplicates make their data of alpaca_5000.json in
$NIBBLE_DATA/instructions. Needs a build with -DNIBBLE_BENCH=ON in $NIBBLE_BIN, and the environment that
scripts/interop makes to run it. $ROUNDS rounds of each (3), on the first $CORES cores (all); $PEERS names the
peers to run, by the ends of their names (all); $STEPS steps of training are timed (3). TRIAL=1 does all of it
once and small, to see that it works: its numbers say little. On lower instruction sets, as far as they can be
forced: NIBBLE_CPU=avx2
ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2."""

import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
BIN = pathlib.Path(os.environ.get("NIBBLE_BIN", HERE / "../../build")).resolve()
TRIAL = bool(os.environ.get("TRIAL"))
ROUNDS = 1 if TRIAL else int(os.environ.get("ROUNDS", "3"))


def trial(small, full):
    return small if TRIAL else full


def output(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def seconds(*command):
    start = time.perf_counter()
    output(*command)
    return time.perf_counter() - start


def peer(script, *arguments):
    return json.loads(output(sys.executable, "-W", "ignore", HERE / script, *arguments).splitlines()[-1])


def bench(name, *arguments):
    return json.loads(output(BIN / "tests/bench" / name, *arguments))


def kernels(which):
    """Rates of kernels_bench by name: operations or bytes a second."""
    report = json.loads(output(BIN / "tests/bench/kernels_bench", f"--benchmark_filter={which}",
                               "--benchmark_min_time=0.2", "--benchmark_format=json"))
    return {run["name"]: run.get("flop/s", run.get("bytes/s")) for run in report["benchmarks"]}


class Work:
    """Files that rows share, made when first asked for."""

    def __init__(self, model, text, folder):
        self.model, self.text, self.folder = model, text, folder

    def nf4(self):
        return self.made("nf4", BIN / "nibble-quantize", self.model, "-q", "-o")

    def gguf(self, kind):
        return self.made(f"{kind}.gguf", BIN / "nibble-export", self.model, "-q", f"--type={kind}", "-o")

    def made(self, name, *command):
        path = self.folder / name
        if not path.exists():
            output(*command, path)
        return path


def alpaca(count, seed=7):
    """Instruction and answer, again and again: from the second time on with words of the answer
    changed."""
    data = pathlib.Path(os.environ["NIBBLE_DATA"], "instructions", "alpaca_5000.json")
    rows, rng = json.loads(data.read_text()), random.Random(seed)
    for i in range(count):
        row = rows[i % len(rows)]
        ask, answer = "\n\n".join(filter(None, (row["instruction"], row["input"]))), row["output"].split(" ")
        if i >= len(rows):
            answer.insert(rng.randrange(len(answer)), str(rng.randrange(10000)))
            if len(answer) > 8:
                del answer[rng.randrange(len(answer))]
            ask += f" ({i // len(rows)})"
        yield ask, " ".join(answer)


def pipeline(*commands):
    """Runs them as a shell does with pipes between; seconds and the peak of the largest, in MiB."""
    start, running = time.perf_counter(), []
    for command in commands:
        last = command is commands[-1]
        running.append(subprocess.Popen(
            [str(c) for c in command], stdin=running[-1].stdout if running else None,
            stdout=None if last else subprocess.PIPE))
        if len(running) > 1:
            running[-2].stdout.close()
    peak = 0
    for process in running:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"{process.args}: exit {process.returncode}")
        peak = max(peak, used.ru_maxrss // 1024)
    return time.perf_counter() - start, peak


def train(work, rows, length, compute, recompute="none", dense=False):
    steps = trial(1, int(os.environ.get("STEPS", "3")))
    length //= trial(8, 1)
    model = work.model if dense else work.nf4()

    def ours():
        return bench("train_step", model, rows, length, steps, recompute, compute)

    def theirs(kind):
        return lambda: peer("peft_step.py", model, rows, length, steps, kind)

    kinds = [compute] if compute == "f32" and not dense else ["f32", "bf16"]
    if dense:
        kinds += ["f32-compiled", "bf16-compiled"]
    else:
        kinds += [f"{kind}-checkpointing" for kind in kinds]
    name = "PEFT LoRA" if dense else "PEFT + bitsandbytes"
    return "tokens/s", ours, {f"{name} {kind}": theirs(kind) for kind in kinds}, lambda r: r["median"]


def generate(work, prompt, new, key, kinds, head="keep"):
    def theirs(kind):
        return lambda: peer("llama_cpp_rate.py", work.gguf(kind), prompt, new, trial(1, 3))

    return (
        "tokens/s",
        lambda: bench("generate_rate", f"--head={head}", work.nf4(), prompt, new, trial(1, 3), "bf16"),
        {f"llama.cpp {kind.upper()}": theirs(kind) for kind in kinds},
        lambda r: r[key],
    )


def perplexity(work):
    context = 512
    text = work.folder / "perplexity.txt"
    text.write_text(pathlib.Path(work.text).read_text()[: trial(5000, 24000)])

    def ours():
        command = [BIN / "nibble-eval", f"--model={work.model}", f"--perplexity={text}", "--json",
                   f"--length={context}", f"--stride={context}", "--batch-size=1", "-q"]
        start = time.perf_counter()
        tokens = json.loads(output(*command))["tokens"]
        return tokens / (time.perf_counter() - start)

    def theirs():
        return peer("llama_cpp_perplexity.py", work.gguf("bf16"), text, context)["tokens_per_second"]

    return "tokens/s", ours, {"llama.cpp BF16": theirs}, float


def quantize(work):
    read = bytes_of(work.model)

    def ours():
        with tempfile.TemporaryDirectory() as out:
            return read / seconds(BIN / "nibble-quantize", work.model, "-q", "-o", f"{out}/q")

    return ("GB/s of bf16 read", ours,
            {"bitsandbytes": lambda: peer("bnb_quantize.py", work.model)["gigabytes_per_second"]}, float)


def tokenize(work):
    text = work.folder / "long.txt"  # long enough that starting does not count
    text.write_bytes(pathlib.Path(work.text).read_bytes() * trial(1, 8))
    size = text.stat().st_size / 1e6

    def ours():
        with tempfile.TemporaryDirectory() as out:
            return size / seconds(BIN / "nibble-tokenize", "--text", "--threads=1", "-q",
                                  f"--model={work.model}", text, "-o", f"{out}/rows.jsonl")

    return ("MB/s, one thread", ours,
            {"tokenizers": lambda: peer("hf_tokenize.py", work.model, text)["megabytes_per_second"]},
            float)


def start(work):
    rows = work.folder / "short.nbp"
    if not rows.exists():
        line = work.folder / "line.txt"
        line.write_text("One short line.\n")
        tokens = work.folder / "line.jsonl"
        output(BIN / "nibble-tokenize", "--text", f"--model={work.nf4()}", line, "-q", "-o", tokens)
        output(BIN / "nibble-pack", f"--model={work.nf4()}", "--length=16", tokens, "-q", "-o", rows)

    def ours():
        with tempfile.TemporaryDirectory() as out:
            return 1 / seconds(BIN / "nibble-train", f"--model={work.nf4()}", f"--data={rows}",
                               "--steps=1", "-q", "-o", f"{out}/adapter")

    def theirs():
        return 1 / seconds(sys.executable, "-W", "ignore", HERE / "peft_step.py", work.nf4(), 1, 5, 0, "f32")

    return "1/s, from the command to the end of one step", ours, {"PEFT + bitsandbytes": theirs}, float


def preprocess(work, count=trial(2000, 100000), length=2048):
    path = work.folder / "conversations.jsonl"
    with path.open("w") as out:
        for ask, answer in alpaca(count):
            messages = [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]
            print(json.dumps({"messages": messages}), file=out)
    model = f"--model={work.model}"

    def ours():
        shard = work.folder / "train.nbp"
        took, peak = pipeline(
            (BIN / "nibble-format", "-q", f"--template={work.model}", path),
            (BIN / "nibble-tokenize", "-q", model),
            (BIN / "nibble-pack", "-q", model, f"--length={length}", "-o", shard),
        )
        made = json.loads(output(BIN / "nibble-inspect", "--json", shard))["summary"]
        fill = made["tokens"] / (made["rows"] * length)
        print(f"nibble: {made['rows']} rows, {fill:.2%} full", file=sys.stderr)
        return {"conversations_per_second": count / took, "peak_rss_mib": peak}

    def theirs():
        made = peer("trl_preprocess.py", work.model, path, length)
        print(f"TRL: {made['rows']} rows, {made['fill']:.2%} full", file=sys.stderr)
        return made

    return "conversations/s", ours, {"TRL": theirs}, lambda r: r["conversations_per_second"]


LARGE_LAYERS = trial(2, 22)


def large_model(work):
    """TinyLlama-1.1B's shape, random weights."""
    return work.made("large", BIN / "nibble-init", f"--layers={LARGE_LAYERS}", "--hidden-size=2048",
                     "--heads=32", "--kv-heads=4", "--intermediate-size=5632", "--vocab-size=32000",
                     "--dtype=bf16", f"--tokenizer={HERE}/../support/tiny-tokenizer", "-q", "-o")


def scaling(work, *names):
    """nibble on one core and on all of them, and how many times as fast."""
    text = work.folder / "scaling.txt"
    text.write_bytes(pathlib.Path(work.text).read_bytes() * trial(1, 64))  # loading does not count
    dense = large_model(work)
    size, read = text.stat().st_size / 1e6, bytes_of(dense)

    memory_disk = "/dev/shm"  # outputs go there, so that no disk is measured

    def tokenized():
        with tempfile.TemporaryDirectory(dir=memory_disk) as out:
            return size / seconds(BIN / "nibble-tokenize", "--text", "-q", f"--model={work.model}", text,
                                  "-o", f"{out}/rows.jsonl")

    def quantized():
        with tempfile.TemporaryDirectory(dir=memory_disk) as out:
            return read / seconds(BIN / "nibble-quantize", dense, "-q", "-o", f"{out}/q")

    def memory():
        return kernels("memory/read")["memory/read/real_time"] / 1e9

    def generated(prompt, new, key):
        return lambda: bench("generate_rate", work.nf4(), prompt, new, trial(1, 3), "bf16")[key]

    works = {
        "train": lambda: bench("train_step", work.nf4(), 4, trial(64, 512), 2, "none", "bf16")["median"],
        "prompts": generated(512, 2, "prompt_tokens_per_second"),
        "decode": generated(16, 128, "decoded_tokens_per_second"),
        "tokenize": tokenized,
        "quantize": quantized,
        "memory": memory,
    }
    cores = sorted(os.sched_getaffinity(0))
    for name in names or works:
        run = works[name]
        if name == "quantize":
            run()  # the file is read for the first time
        rates = {1: [], len(cores): []}
        for _ in range(ROUNDS):
            for count, measured in rates.items():
                os.sched_setaffinity(0, cores[:count])
                measured.append(run())
        one, all_ = (statistics.median(measured) for measured in rates.values())
        print(f"| {name} | {one:.4g} | {all_:.4g} | **{all_ / one:.2f}** |", flush=True)
    print(f"A decoded token reads {bytes_of(work.nf4()) * 1e3:.0f} MB.", flush=True)


def large(work):
    """A whole step of a model of TinyLlama-1.1B's shape, random weights, 1 x 1024, beside the time that
    oneDNN's products, of bf16 where the processor multiplies it, take for its frozen weights alone."""
    dense = large_model(work)
    model = work.made("large-nf4", BIN / "nibble-quantize", dense, "-q", "-o")
    layer = ("qkv", "output", "gate_up", "down")
    products = {name: LARGE_LAYERS for part in layer for name in (part, f"{part}_dx")} | {"head": 1, "head_dx": 1}
    bf16 = "avx512_bf16" in pathlib.Path("/proc/cpuinfo").read_text() and "NIBBLE_CPU" not in os.environ
    rates = {"nibble": {}, "oneDNN": {}}
    steps = []
    for _ in range(ROUNDS):
        for side, storage in (("nibble", "bf16" if bf16 else "step"),
                              ("oneDNN", "onednn_bf16" if bf16 else "onednn")):
            for name, rate in kernels(f"matmul/{storage}/tiny").items():
                rates[side].setdefault(name.split("tiny_")[1].split("/")[0], []).append(rate / 1e9)
        steps.append(bench("train_step", model, 1, 1024, 1, "none", "bf16"))
    print("| product | nibble, GFLOP/s | oneDNN | share |\n|---|---|---|---|")
    for name in products:
        ours, theirs = (statistics.median(rates[side][name]) for side in ("nibble", "oneDNN"))
        print(f"| {name} | {ours:.0f} | {theirs:.0f} | {ours / theirs:.0%} |")
    shape = {"qkv": 2560 * 2048, "output": 2048 * 2048, "gate_up": 11264 * 2048, "down": 2048 * 5632,
             "head": 32000 * 2048}
    work_of = {name: 2e-9 * 1024 * shape[name.removesuffix("_dx")] * count for name, count in products.items()}
    theirs = sum(flops / statistics.median(rates["oneDNN"][name]) for name, flops in work_of.items())
    ours = 1024 / statistics.median(step["median"] for step in steps)
    print(f"A step: {ours:.1f} s, {1024 / ours:.1f} tokens/s; the products of its frozen weights alone by "
          f"oneDNN: {theirs:.1f} s, **{theirs / ours:.0%}**; peak {steps[-1]['peak_rss_mib']} MiB.")


def bytes_of(model):
    return sum(f.stat().st_size for f in pathlib.Path(model).glob("*.safetensors")) / 1e9


def near_duplicates(work, count=trial(1000, 50000)):
    path = work.folder / "texts.jsonl"
    with path.open("w") as out:
        for ask, answer in alpaca(count):
            print(json.dumps({"text": f"{ask} {answer}"}), file=out)

    def ours():
        took = seconds(BIN / "nibble-dedup", "-q", "--no-exact", "--near=0.8", path, "-o",
                       work.folder / "kept.jsonl")
        return count / took

    return ("texts/s", ours,
            {"datasketch": lambda: peer("datasketch_lsh.py", path, 0.8)["texts_per_second"]}, float)


ROWS = {
    "train": lambda w: train(w, 4, 512, "bf16"),
    "train-layer": lambda w: train(w, 4, 512, "bf16", "layer"),
    "train-long": lambda w: train(w, 1, 2048, "bf16"),
    "train-f32": lambda w: train(w, 4, 512, "f32"),
    "train-lora": lambda w: train(w, 4, 512, "bf16", dense=True),
    "prompts": lambda w: generate(w, 512, 2, "prompt_tokens_per_second", ("bf16", "q4_0")),
    "decode": lambda w: generate(w, 16, 128, "decoded_tokens_per_second", ("q4_0", "bf16")),
    "decode-int8": lambda w: generate(w, 16, 128, "decoded_tokens_per_second", ("q4_0",), "int8"),
    "perplexity": perplexity,
    "quantize": quantize,
    "tokenize": tokenize,
    "start": start,
    "preprocess": preprocess,
    "near-duplicates": near_duplicates,
}


def main(model, text, *names):
    if "CORES" in os.environ:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(os.environ["CORES"])])
    with tempfile.TemporaryDirectory() as folder:
        # $WORK keeps what is made once for several calls.
        work = Work(model, text, pathlib.Path(os.environ.get("WORK", folder)))
        if names[:1] == ("scaling",):
            print("| work | one core | all | ratio |\n|---|---|---|---|", flush=True)
            return scaling(work, *names[1:])
        if names == ("large",):
            return large(work)
        print("| work | unit | nibble | peer | ratio | peak MiB |\n|---|---|---|---|---|---|", flush=True)
        for name in names or [row for row in ROWS if row not in ("train-lora", "decode-int8")]:
            unit, ours, peers, rate = ROWS[name](work)
            wanted = os.environ.get("PEERS", "").split(",")
            peers = {peer: run for peer, run in peers.items() if peer.endswith(tuple(wanted))}
            mine, theirs, peaks = [], {peer: [] for peer in peers}, {}
            for _ in range(ROUNDS):  # in turn, so that what else the machine does hits all alike
                for label, run, rates in [("nibble", ours, mine)] + [
                    (peer, run, theirs[peer]) for peer, run in peers.items()
                ]:
                    result = run()
                    rates.append(rate(result))
                    if isinstance(result, dict):
                        peaks[label] = result["peak_rss_mib"]
            us = statistics.median(mine)
            if not theirs:
                print(f"| {name} | {unit} | {us:.4g} | | | {peaks.get('nibble', '')} |", flush=True)
            for peer_name, rates in theirs.items():
                them = statistics.median(rates)
                memory = f"{peaks['nibble']} / {peaks[peer_name]}" if peaks else ""
                print(f"| {name} | {unit} | {us:.4g} | {peer_name}: {them:.4g} | "
                      f"**{us / them:.2f}** | {memory} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
