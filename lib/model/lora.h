// SPDX-License-Identifier: Apache-2.0
// What is trained: LoRA adapters (Hu et al. 2021; rank-stabilised scaling, Kalajdzievski 2023) on
// chosen linear layers, whole modules beside them, biases, or all weights. Names, meanings and the
// rules by which names select modules are those of PEFT 0.21. attach_* declare parameters in a
// model; after its ParameterSet is laid out, init_trained fills them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/weights.h"

namespace nibble {

enum class LoraInit : uint8_t { kDefault, kGaussian };  // Kaiming uniform (a = sqrt 5), N(0, 1/r)
enum class LoraBias : uint8_t { kNone, kAll, kLoraOnly };

struct LoraConfig {
  int64_t rank = 16;
  double alpha = 32.0;
  double dropout = 0.0;
  bool use_rslora = false;  // scale alpha/sqrt(r) instead of alpha/r
  /// Module names or their last components, or "all-linear" (every linear layer of the blocks), or,
  /// where it is set, a Python regular expression for whole names.
  std::vector<std::string> targets = {"all-linear"};
  std::string targets_expression;
  std::vector<std::string> exclude;  // likewise, never adapted
  std::string exclude_expression;
  /// Modules trained in full: names that end so, letter by letter ("norm" is every norm).
  std::vector<std::string> modules_to_save;
  /// Where embedding and head are tied and one of them is trained in full: both stay one tensor.
  /// Without it, as in PEFT, only what is named is trained and the other keeps the base's values.
  bool ensure_weight_tying = false;
  LoraBias bias = LoraBias::kNone;
  LoraInit init = LoraInit::kDefault;
  /// Regular expression for the end of a name (from a dot on) to value; the first that matches.
  std::vector<std::pair<std::string, int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
  std::vector<int64_t> layers_to_transform;  // empty: all
  std::string base_model;                    // base_model_name_or_path
};

/// Declares adapters, trained modules and biases. Throws UsageError where a name selects nothing or
/// a value makes no sense, UnavailableError for a module that cannot be adapted or trained.
void attach_lora(Model& model, const LoraConfig& config);

/// Declares every weight as trained (--method=full); quantised weights are refused.
void attach_full(Model& model);

/// Fills what attach_* declared: A by config.init, B zero, trained weights and biases from the
/// model's own. The draws depend on seed and on each parameter's name alone. Call
/// parameters.refresh() when all values are in place.
void init_trained(const Model& model, const LoraConfig& config, uint64_t seed);

}  // namespace nibble
