// SPDX-License-Identifier: Apache-2.0
// nibble-train: trains a LoRA adapter through a frozen model (dense or 4-bit: QLoRA), or a whole
// model. Reads a model folder and a packed shard; writes an adapter folder as PEFT reads it (or,
// with --method=full, a model folder), checkpoints and metrics.
//
//   nibble-train --model=model-nf4 --data=train.nbp -o adapter
#include <unistd.h>

#include "base/signals.h"
#include "cli/tool.h"
#include "fit/choose.h"
#include "train/run.h"

namespace {

using namespace nibble;

struct Options {
  TrainOptions train;
  std::string recompute = "auto", compute = "bf16", bias = "none", init = "default";
  Size memory_limit, host_memory;
  std::string resume;
};

void declare(OptionTable& t, Options& o) {
  TrainOptions& r = o.train;
  t.add("model", "DIR", r.model, "model folder, dense or quantised").required();
  t.add("data", "FILE", r.data, "packed shard to train on (nibble-pack)").required();
  t.out(r.out, "folder for the adapter, checkpoints and metrics").required().also({"output-dir"});
  t.group("What is trained");
  t.add("method", "NAME", r.method, "LoRA adapter, or all weights").choices({"lora", "full"});
  t.add("rank", "R", r.lora.rank, "LoRA rank").range(1, 8192).also({"r", "lora-r", "lora-rank"});
  t.add("alpha", "X", r.lora.alpha, "LoRA scale: alpha / rank").also({"lora-alpha"});
  t.add("dropout", "P", r.lora.dropout, "dropout before the adapter")
      .range(0, 0.99)
      .also({"lora-dropout"});
  t.add("targets", "LIST", r.lora.targets, "module names to adapt, or all-linear")
      .also({"target-modules", "lora-target-modules"});
  t.flag("use-rslora", r.lora.use_rslora, "scale by alpha / sqrt(rank)");
  t.add("bias", "WHICH", o.bias, "biases trained too").choices({"none", "all", "lora_only"});
  t.add("modules-to-save", "LIST", r.lora.modules_to_save,
        "modules trained in full: embed_tokens, lm_head, norms");
  t.add("init-lora-weights", "HOW", o.init, "how A starts").choices({"default", "gaussian"});
  t.add("adapter", "DIR", r.adapter, "go on from this adapter, with its rank and targets");
  t.add("add-tokens", "FILE", r.add_tokens,
        "new tokens, one a line; embeddings grow and are trained; nibble-tokenize and nibble-pack "
        "take them too");
  t.group("How long");
  t.add("epochs", "N", r.epochs, "passes over the data")
      .range(1e-6, 1e6)
      .also({"num-train-epochs"});
  t.add("steps", "N", r.steps, "updates; overrides --epochs").range(1, 1e12).also({"max-steps"});
  t.add("batch-size", "N", r.batch_size, "rows of a micro-batch")
      .range(1, 65536)
      .also({"per-device-train-batch-size", "micro-batch-size"});
  t.add("accumulate", "N", r.accumulate, "micro-batches of an update")
      .range(1, 65536)
      .also({"gradient-accumulation-steps"});
  t.group("How");
  t.add("learning-rate", "X", r.learning_rate, "peak rate").range(0, 100).also({"lr"});
  t.add("schedule", "NAME", r.schedule, "shape of the rate")
      .choices({"cosine", "linear", "constant", "wsd"})
      .also({"lr-scheduler-type", "lr-scheduler"});
  t.add("warmup", "X", r.warmup, "share of the steps, or 100steps")
      .also({"warmup-ratio", "warmup-steps"});
  t.add("min-learning-rate", "F", r.min_learning_rate,
        "where the rate ends, as a share of its peak")
      .range(0, 1);
  t.add("decay-share", "F", r.decay_share, "wsd: the share of steps that decays").range(0, 1);
  t.add("weight-decay", "X", r.weight_decay, "AdamW's decoupled decay").range(0, 10);
  t.add("max-grad-norm", "X", r.max_grad_norm, "clip the gradient's norm; 0: never").range(0, 1e9);
  t.add("neftune", "ALPHA", r.neftune_alpha, "noise on embeddings; 0: none")
      .range(0, 1000)
      .also({"neftune-noise-alpha"});
  t.add("optimizer", "NAME", r.optimizer, "update rule")
      .choices({"adamw", "adamw-8bit", "paged-adamw", "paged-adamw-8bit", "sgd"})
      .also({"optim"});
  t.add("beta1", "X", r.beta1, "AdamW's first moment").range(0, 0.999999).also({"adam-beta1"});
  t.add("beta2", "X", r.beta2, "AdamW's second moment").range(0, 0.999999).also({"adam-beta2"});
  t.add("epsilon", "X", r.epsilon, "AdamW's epsilon").range(1e-30, 1).also({"adam-epsilon"});
  t.add("momentum", "X", r.momentum, "of sgd").range(0, 0.999999);
  t.negatable("shuffle", r.shuffle, "new order of rows every epoch");
  t.group("Memory");
  t.add("recompute", "WHAT", o.recompute,
        "what backward makes again instead of keeping; auto: the cheapest that fits")
      .choices({"auto", "none", "norm", "layer", "sqrt"})
      .also({"gradient-checkpointing"});
  t.flag("offload-activations", r.offload_activations,
         "what backward needs waits in the host's memory (CUDA)");
  t.add("memory-limit", "SIZE", o.memory_limit, "plan within this, or refuse; 0: what is free");
  t.add("host-memory", "SIZE", o.host_memory,
        "CUDA: of the host's memory, for what leaves the device; 0: what may be pinned");
  t.add("keep-weights", "N", r.weights.keep,
        "layers whose weights are expanded once and kept so: auto, none, all or a number; auto: on "
        "CUDA what fits, on a CPU none")
      .default_is("auto");
  t.add("stream-weights", "N", r.weights.stream,
        "CUDA: layers whose weights come from the host's memory for every use: auto, none, all or "
        "a number; auto: as many as must")
      .optional_value("all");
  t.flag("host-embedding", r.weights.host_embedding,
         "CUDA: the embedding table stays in the host's memory");
  t.add("compute", "TYPE", o.compute, "type of activations")
      .choices({"bf16", "f32"})
      .also({"bf16", "fp16"});
  t.negatable("graphs", r.graphs, "on CUDA, launch a micro-batch as one CUDA graph");
  t.group("Watching");
  t.add("validation", "FILE", r.validation, "packed shard to validate on").also({"eval-dataset"});
  t.add("eval-every", "N", r.eval_every, "steps between validations; 0: an epoch")
      .range(0, 1e12)
      .also({"eval-steps"});
  t.add("patience", "N", r.patience, "stop after N validations without a better one; 0: never")
      .range(0, 1e9)
      .also({"early-stopping-patience"});
  t.add("metrics", "FILE", r.metrics, "JSONL, an object a step (nibble-plot) [OUT/metrics.jsonl]")
      .also({"logging-dir"});
  t.add("save-every", "N", r.save_every, "steps between checkpoints; 0: only when stopped")
      .range(0, 1e12)
      .also({"save-steps"});
  t.add("keep", "N", r.keep, "checkpoints to keep").range(1, 1e6).also({"save-total-limit"});
  t.flag("keep-best", r.keep_best, "end with the step that validated best")
      .also({"load-best-model-at-end"});
  t.group("Going on");
  t.add("resume", "CHECKPOINT", o.resume,
        "go on from the newest checkpoint in OUT, or from this one")
      .optional_value("auto")
      .also({"resume-from-checkpoint"});
  t.flag(
      "deterministic", o.train.deterministic,
      "same bits on every run of this build and device, whatever it costs: on CUDA each product's "
      "sums are made in one sequence, which is slower where few numbers sum up much (always so "
      "on a CPU, for one number of threads)");
}

TrainOptions resolve(const Options& o, const ToolContext& context) {
  TrainOptions r = o.train;
  r.seed = context.seed;
  r.device = parse_device(context.device);
  if (o.recompute != "auto") r.recompute = parse_recompute(o.recompute);
  r.compute = o.compute == "bf16" ? Dtype::kBf16 : Dtype::kF32;
  r.lora.bias = o.bias == "all"         ? LoraBias::kAll
                : o.bias == "lora_only" ? LoraBias::kLoraOnly
                                        : LoraBias::kNone;
  r.lora.init = o.init == "gaussian" ? LoraInit::kGaussian : LoraInit::kDefault;
  r.memory_limit = o.memory_limit.bytes;
  r.host_memory = o.host_memory.bytes;
  if (!o.resume.empty()) r.resume = o.resume;
  Json given = Json::object();
  for (const auto& [name, value] : context.table->settings())
    if (name != "help" && name != "version" && name != "quiet" && name != "verbose" &&
        name != "progress")
      given.set(name, value);
  r.told = Json::object(
      {{"version", version()}, {"command", context.command_line}, {"options", std::move(given)}});
  if (!r.add_tokens.empty() && !r.adapter.empty())
    throw UsageError("--add-tokens goes with a new adapter; leave --adapter out");
  if (r.method == "full" && !r.adapter.empty())
    throw UsageError("--method=full trains no adapter; merge --adapter first, with nibble-merge");
  for (const char* own :
       {"rank", "alpha", "targets", "use-rslora", "bias", "modules-to-save", "init-lora-weights"})
    if (!r.adapter.empty() && context.table->given(own))
      throw UsageError(cat("--", own, ": --adapter brings its own; leave one of them out"));
  if (r.keep_best && r.validation.empty())
    throw UsageError("--keep-best needs --validation=FILE to tell the best");
  if (r.patience > 0 && r.validation.empty())
    throw UsageError("--patience needs --validation=FILE to judge by");
  if (r.eval_every > 0 && r.validation.empty())
    throw UsageError("--eval-every needs --validation=FILE to measure");
  if (r.lora.targets.empty())
    throw UsageError("--targets: its value is empty; name some, q_proj for instance");
  if (r.offload_activations && !r.device.on_cuda())
    throw UsageError(
        "--offload-activations: --device=cpu has them in the host's memory; leave it out");
  return r;
}

void run(const Options& options, ToolContext& context) {
  catch_stop_signals();
  refuse_to_replace(options.train.metrics, std::vector{options.train.data, options.train.validation,
                                                       options.train.add_tokens});
  context.say(cat("version ", version(), ": ", context.command_line));
  for (const auto& [name, value] : context.table->settings())
    context.detail(cat("  --", name, "=", value));
  TrainingRun training(resolve(options, context));
  const ShardInfo& data = training.data();
  const double share = 100.0 * static_cast<double>(training.trainable()) /
                       static_cast<double>(training.parameters());
  char percent[32];
  std::snprintf(percent, sizeof percent, "%.3g", share);
  context.say(cat("trains ", training.trainable(), " of ", training.parameters(), " parameters (",
                  percent, "%)"));
  context.say(cat("data: ", data.rows, " rows of up to ", data.row_length, ", ", data.tokens,
                  " tokens, ", data.trained, " of them trained; ", training.total_steps(),
                  " steps"));
  context.say(cat("memory planned: ", format_size(training.plan().total()), " with ",
                  memory_options(training.job())));
  if (options.train.deterministic)
    context.say(training.job().device == DeviceKind::kCuda
                    ? "deterministic: products add up in one sequence, slower for adapters' "
                      "gradients and the loss"
                    : "deterministic: as always on a CPU, for one number of threads");
  for (const auto& [name, bytes] : training.plan().items)
    context.say(cat("  ", format_size(bytes), "  ", name));
  for (const auto& [name, bytes] : training.plan().host)
    context.say(cat("  ", format_size(bytes), "  ", name, ", in the host's memory"));
  Progress progress(context);
  training.train({.say = [&](const std::string& text) { context.say(text); },
                  .progress_due = [&] { return progress.due(); },
                  .progress = [&](const std::string& text) { progress.show(text); }});
  progress.finish(
      cat("wrote ", options.train.out, "; ", resources_used(context, training.device_peak())));
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-train",
       .summary = "train a LoRA adapter through a frozen, possibly 4-bit model (QLoRA), or a model",
       .synopsis = "--model=DIR --data=FILE.nbp -o OUT/ [OPTION...]",
       .description = "The loss is the mean over trained tokens of an update, however it is cut "
                      "into micro-batches. Same seed, threads and options give the same bits; a "
                      "run that was stopped goes on with --resume as if it had not been.",
       .examples = {{"nibble-train --model=model-nf4 --data=train.nbp -o adapter",
                     "QLoRA with the defaults: rank 16, all linear layers, one epoch"},
                    {"nibble-train --config=run.toml --seed=2 -o adapter-2",
                     "options from a file, some from the command line"}},
       .exit_codes = {{65, "bad data, or a loss that is not finite or jumped"},
                      {75,
                       "stopped by SIGTERM, SIGINT, SIGUSR1 or (unless ignored) SIGHUP, a "
                       "checkpoint written: go on with --resume"}},
       .computes = true,
       .on_gpu = true},
      declare, run);
}
