// SPDX-License-Identifier: Apache-2.0
// How a run begins, is saved, and ends (the loop between is loop.cpp).
#include <algorithm>
#include <chrono>

#include "base/profile.h"
#include "base/threads.h"
#include "kernels/simd.h"
#include "model/adapter.h"
#include "model/digest.h"
#include "tensor/cuda.h"
#include "text/copy_tokenizer.h"
#include "train/loop_state.h"

namespace nibble {
namespace {

std::string kind_of(Device device) {
  return device.on_cuda() ? "cuda" : "cpu";
}

}  // namespace

// What must be the same for a resumed run to be the run that was interrupted.
Json TrainingRun::State::settings() const {
  const TrainOptions& o = options;
  const auto file = [](bool given, auto&& digest) {
    return given ? Json::object({{"digest", digest()}}) : Json();
  };
  OptimizerOptions rule;
  set_optimizer(rule, o.optimizer);
  Json s = Json::object(
      {{"model", Json::object({{"digest", model_digest(model)}})},
       {"data", Json::object({{"digest", train_shard.digest()}})},
       {"validation", file(valid_shard.has_value(), [&] { return valid_shard->digest(); })},
       {"adapter", file(!o.adapter.empty(), [&] { return adapter_digest(o.adapter); })},
       {"add-tokens",
        file(extended.has_value(), [&] { return extended->tokenizer().fingerprint; })},
       {"method", o.method},
       {"steps", total_steps},
       {"batch-size", o.batch_size},
       {"accumulate", o.accumulate},
       {"learning-rate", o.learning_rate},
       {"schedule", o.schedule},
       {"warmup", o.warmup},
       {"decay-share", o.decay_share},
       {"min-learning-rate", o.min_learning_rate},
       {"weight-decay", o.weight_decay},
       {"max-grad-norm", o.max_grad_norm},
       {"neftune", o.neftune_alpha},
       {"optimizer", rule.name},  // where its state is decides no bits
       {"beta1", o.beta1},
       {"beta2", o.beta2},
       {"epsilon", o.epsilon},
       {"momentum", o.momentum},
       {"shuffle", o.shuffle},
       {"seed", o.seed},
       {"compute", torch_name(o.compute)}});
  // On a CPU it decides no bits.
  if (o.device.on_cuda()) s.set("deterministic", o.deterministic);
  if (o.method == "lora") {
    s.set("rank", o.lora.rank);
    s.set("alpha", o.lora.alpha);
    s.set("dropout", o.lora.dropout);
    s.set("use-rslora", o.lora.use_rslora);
    s.set("bias", o.lora.bias == LoraBias::kAll        ? "all"
                  : o.lora.bias == LoraBias::kLoraOnly ? "lora_only"
                                                       : "none");
    s.set("init-lora-weights", o.lora.init == LoraInit::kGaussian ? "gaussian" : "default");
    const auto list = [&](const char* name, const std::vector<std::string>& names) {
      s.set(name, Json::Array(names.begin(), names.end()));
    };
    list("targets", o.lora.targets);
    list("modules-to-save", o.lora.modules_to_save);
  }
  return s;
}

Json TrainingRun::State::run_record() const {
  const ShardInfo& info = train_shard.info();
  Json plan_items = Json::object();
  for (const auto& [name, bytes] : plan.items) plan_items.set(name, bytes);
  Json run = options.told;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  run.set("started", std::chrono::duration_cast<std::chrono::seconds>(now).count());
  run.set("threads", threads());
  run.set("cpu", simd_target_name());
  run.set("parameters", model.parameter_count());
  run.set("trainable", model.parameters.trainable());
  run.set("steps", total_steps);
  run.set("steps_per_epoch", order->steps_per_epoch());
  run.set("data", Json::object({{"rows", info.rows},
                                {"row_length", info.row_length},
                                {"tokens", info.tokens},
                                {"trained", info.trained}}));
  run.set("plan", std::move(plan_items));
  if (options.device.on_cuda()) {
    // All that is on the device from now on is there.
    const cuda::DeviceFacts facts = cuda::device_facts(options.device.index);
    run.set("device", facts.name);
    run.set("device_bytes", facts.memory - facts.free);
    run.set("wgmma", cuda::on_wgmma(stream.get()));
  }
  if (!plan.host.empty()) {
    Json host = Json::object();
    for (const auto& [name, bytes] : plan.host) host.set(name, bytes);
    run.set("plan_host", std::move(host));
  }
  return Json::object({{"step", 0}, {"run", std::move(run)}});
}

void TrainingRun::State::save_model(const fs::path& to) const {
  download();
  const StreamScope on_cpu(Stream{});
  if (options.method == "full")
    save_full_model(to, model, options.model, model.config.dtype);
  else
    save_adapter(to, model, options.lora);
  if (extended)
    extended->write(to);
  else if (!options.adapter.empty() && has_tokenizer(options.adapter))
    copy_tokenizer_files(options.adapter, to);
}

void TrainingRun::State::go_on_from(const fs::path& checkpoint, const TrainReport& report) {
  const StreamScope scope(stream.get());
  at = load_checkpoint(checkpoint, agreed, working().parameters, *optimizer);
  saved_step = at.step;
  report.say(cat("going on from ", checkpoint.string(), ", step ", at.step, " of ", total_steps));
  const std::string device = kind_of(options.device);
  if (!at.device.empty() && at.device != device)
    report.say(cat("it was made on ", at.device, ", this run computes on ", device,
                   ": last digits may differ"));
  if (at.threads != threads() || at.cpu != simd_target_name())
    report.say(cat("it was made by ", at.threads, " threads on ", at.cpu, ", this run has ",
                   threads(), " on ", simd_target_name(), ": last digits may differ"));
}

void TrainingRun::State::start(const TrainReport& report) {
  const fs::path out = options.out;
  held.emplace(out);
  std::error_code error;
  const bool ran = latest_checkpoint(out) || fs::exists(out / "adapter_config.json", error);
  if (ran && !options.resume)
    throw CannotCreateError(
        cat(out.string(), ": holds an earlier run; --resume it or choose another --out"));
  if (!ran && fs::exists(out / "config.json", error) && !options.resume)
    throw CannotCreateError(cat(out.string(), ": holds a model; choose another --out"));
  agreed = settings();
  init_trained(model, options.lora, options.seed);
  if (!options.adapter.empty()) load_adapter_weights(options.adapter, model);
  upload();
  // All weights are copies now: the mapped ones need not stay in memory.
  if (options.method == "full")
    for (const auto& [name, t] : model.store->tensors()) t.file->forget(t.offset, t.bytes.size());
  std::optional<fs::path> from;
  if (options.resume) from = *options.resume == "auto" ? latest_checkpoint(out) : *options.resume;
  if (from) {
    go_on_from(*from, report);
  } else if (options.resume) {
    report.say(cat(out.string(), ": no checkpoint yet; starting at the beginning"));
  }
  prune_checkpoints(out, options.keep, options.keep_best ? at.best_step : 0);
  metrics.emplace(options.metrics.empty() ? out / "metrics.jsonl" : fs::path(options.metrics),
                  at.step,
                  at.validation_due ? MetricsFile::LastStep::kWithoutValidation
                                    : MetricsFile::LastStep::kWhole);
  batches.resize(static_cast<size_t>(options.accumulate));
  started = std::chrono::steady_clock::now();
}

void TrainingRun::State::save(const TrainReport&) {
  if (saved_step == at.step) return;
  const Span span("checkpoint");
  at.threads = threads();
  at.cpu = simd_target_name();
  at.device = kind_of(options.device);
  save_checkpoint(options.out, at, agreed, working().parameters, *optimizer,
                  [&](const fs::path& to) { save_model(to); });
  saved_step = at.step;
  prune_checkpoints(options.out, options.keep, options.keep_best ? at.best_step : 0);
}

void TrainingRun::State::finish(const TrainReport& report) {
  const fs::path out = options.out;
  if (options.keep_best && at.best_step > 0 && at.best_step != at.step) {
    const StreamScope scope(stream.get());
    // This run's own: nothing is to be agreed on, and what made it may have been another device.
    load_checkpoint(out / checkpoint_name(at.best_step), Json::object(), working().parameters,
                    *optimizer);
    report.say(cat("keeping step ", at.best_step, ", validation loss ", fixed(at.best_loss, 4)));
  }
  // Beside the checkpoints, and there only when it is whole; what makes it an adapter or a model
  // comes last.
  const AtomicFolder whole(out / "result", true);
  save_model(whole.working());
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(whole.working())) files.push_back(entry.path());
  std::stable_partition(files.begin(), files.end(), [](const fs::path& file) {
    return file.filename() != "config.json" && file.filename() != "adapter_config.json";
  });
  for (const fs::path& file : files) {
    std::error_code error;
    fs::rename(file, out / file.filename(), error);
    if (error)
      throw IoError(cat((out / file.filename()).string(), ": cannot write: ", error.message(),
                        "; --resume with another --out"));
  }
}

}  // namespace nibble
