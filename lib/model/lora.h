// SPDX-License-Identifier: Apache-2.0
// What is trained: LoRA adapters (Hu et al. 2021; rank-stabilised scaling, Kalajdzievski 2023) on
// chosen linear layers, whole modules beside them, biases, or all weights. Names and meanings are
// PEFT's. attach_* declare parameters in a model; after its ParameterSet is laid out, init_* fill
// them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/weights.h"

namespace nibble {

enum class LoraInit : uint8_t { kDefault, kGaussian };  // Kaiming uniform (a = sqrt 5), N(0, 1/r)
enum class LoraBias : uint8_t { kNone, kAll, kLoraOnly };

struct LoraConfig {
  int64_t rank = 16;
  double alpha = 32.0;
  double dropout = 0.0;
  bool use_rslora = false;                           // scale alpha/sqrt(r) instead of alpha/r
  std::vector<std::string> targets = {"all-linear"};  // suffixes of module names, or all-linear
  std::vector<std::string> exclude;
  std::vector<std::string> modules_to_save;  // trained in full: "embed_tokens", "lm_head", norms
  LoraBias bias = LoraBias::kNone;
  LoraInit init = LoraInit::kDefault;
  std::map<std::string, int64_t> rank_pattern;  // module suffix or regular expression to rank
  std::map<std::string, double> alpha_pattern;
  std::vector<int64_t> layers_to_transform;  // empty: all
  std::string base_model;                    // base_model_name_or_path
};

/// Declares adapters, trained modules and biases. Throws UsageError where a target names nothing,
/// UnavailableError for a module that cannot be adapted.
void attach_lora(Model& model, const LoraConfig& config);

/// Declares every weight as trained (--method=full); quantised weights are refused.
void attach_full(Model& model);

/// Fills what attach_* declared: A by config.init, B zero, trained modules and biases from the
/// model's weights. The draws depend on seed and on each parameter's name alone.
void init_trained(const Model& model, const LoraConfig& config, uint64_t seed);

}  // namespace nibble
