// SPDX-License-Identifier: Apache-2.0
// A question to nibble-fit: this model, trained or run so. Everything but the machine that it
// should fit.
#pragma once

#include <optional>
#include <string>

#include "fit/choose.h"
#include "fit/generator_layout.h"
#include "model/lora.h"

namespace nibble {

struct Question {
  std::string name;  // of the model, for people
  ModelConfig config;
  double parameters = 0.0;     // by name, "7B", for rules of thumb; 0: those of the config
  double trained_share = 0.0;  // that rules of thumb take for LoRA; 0: the adapter's own
  bool training = true;
  std::string method = "lora";  // lora, full
  LoraConfig lora;
  TrainJob train;
  Open open;  // of the job's settings, those that choose_memory sets
  GeneratorSizes infer;
};

/// The model of shapes with its parameters declared. Throws as attach_lora and attach_full do.
Model prepare(const Question& question);

/// Likewise with the weights that are stored, where there are any.
Model prepare(const Question& question, std::optional<Model> stored);

/// Throws UsageError where the sizes make no sense together.
void check_question(const Question& question);

/// `model` as prepare() or load_model() and attach_* make it.
MemoryPlan plan(const Question& question, const Model& model);
inline MemoryPlan plan(const Question& question) {
  return plan(question, prepare(question));
}

/// The model's weights as nibble-quantize would store them ("nf4", "fp4", "int8"), or dense in
/// bf16 ("none").
void set_quantized(ModelConfig& config, const std::string& type);

/// What --find can look for.
enum class Find : uint8_t { kBatch, kSequence, kRank };

/// Sets what is open of the training job: the fastest settings that fit, else those that need
/// least.
void choose_memory(Question& question, const Model& model, const MemoryLimits& limits,
                   const Rates& rates);

/// The largest value with which some setting of what is open fits, and that setting as options of
/// nibble-train; 0 where not even the least does. A sequence is at most the model's context.
struct Largest {
  int64_t value = 0;
  std::string memory;
};
Largest find_largest(Question question, Find what, const MemoryLimits& limits, const Rates& rates);

}  // namespace nibble
