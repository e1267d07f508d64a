// SPDX-License-Identifier: Apache-2.0
#include "fit/question.h"

namespace nibble {
namespace {

constexpr int64_t kMostBatch = 65536, kMostRank = 8192;  // what nibble-train takes

void set(Question& q, Find what, int64_t value) {
  switch (what) {
    case Find::kBatch:
      q.train.batch_size = q.infer.batch_size = value;
      break;
    case Find::kSequence:
      q.train.row_length = q.train.longest = q.infer.context = value;
      break;
    case Find::kRank:
      q.lora.rank = value;
      break;
  }
}

int64_t most(const Question& q, Find what) {
  if (what == Find::kRank) return kMostRank;
  return what == Find::kBatch ? kMostBatch : q.config.max_position;
}

}  // namespace

void check_question(const Question& q) {
  // Token and row numbers are 32 bits in a batch.
  constexpr int64_t kMostTokens = int64_t{1} << 31;
  const int64_t batch = q.training ? q.train.batch_size : q.infer.batch_size;
  const int64_t length = q.training ? q.train.row_length : q.infer.context;
  if (batch > kMostTokens / length)
    throw UsageError(cat("--batch-size=", batch, " of ", length,
                         " tokens each is more than a batch can number; take less of one"));
}

Model prepare(const Question& q) {
  return prepare(q, std::nullopt);
}

Model prepare(const Question& q, std::optional<Model> stored) {
  Model model = stored ? std::move(*stored) : shape_model(q.config);
  if (!q.training) return model;
  if (q.method == "full")
    attach_full(model);
  else
    attach_lora(model, q.lora);
  return model;
}

MemoryPlan plan(const Question& q, const Model& model) {
  return q.training ? plan_training(model, q.train)
                    : plan_generation(model, q.infer, q.train.device);
}

void set_quantized(ModelConfig& config, const std::string& type) {
  config.quantization.reset();
  if (config.dtype != Dtype::kF16) config.dtype = Dtype::kBf16;
  if (type == "none") return;
  QuantizationConfig q;
  q.type = type == "fp4" ? QuantType::kFp4 : type == "int8" ? QuantType::kInt8 : QuantType::kNf4;
  q.double_quant = q.type != QuantType::kInt8;
  config.quantization = q;
}

void choose_memory(Question& q, const Model& model, const MemoryLimits& limits,
                   const Rates& rates) {
  // What is open has no value yet that the model could contradict.
  if (q.open.keep) q.train.weights.kept_layers = 0;
  if (q.open.stream) q.train.weights.streamed_layers = 0;
  if (q.open.embedding) q.train.weights.host_embedding = false;
  if (q.open.offload) q.train.offload = false;
  if (q.open.paged) q.train.optimizer.paged = false;
  q.train = choose_memory(model, q.train, q.open, limits, rates_or_typical(rates, q.train.device));
}

Largest find_largest(Question q, Find what, const MemoryLimits& limits, const Rates& rates) {
  const Model same = prepare(q);  // only a rank changes the model
  const auto at = [&](int64_t value) {
    set(q, what, value);
    const std::optional<Model> other =
        what == Find::kRank ? std::optional<Model>(prepare(q)) : std::nullopt;
    const Model& model = other ? *other : same;
    if (q.training) choose_memory(q, model, limits, rates);
    return limits.hold(plan(q, model));
  };
  const int64_t end = most(q, what);
  if (!at(1)) return {};
  int64_t good = 1, bad = end + 1;
  for (int64_t next = 2; next <= end && bad > end; next *= 2) {
    if (at(next))
      good = next;
    else
      bad = next;
  }
  while (bad - good > 1) {
    const int64_t middle = good + (bad - good) / 2;
    (at(middle) ? good : bad) = middle;
  }
  at(good);
  return {good, q.training ? memory_options(q.train) : ""};
}

}  // namespace nibble
