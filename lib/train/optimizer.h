// SPDX-License-Identifier: Apache-2.0
// The optimizer and its state over all trained parameters: one of the kernels' updates, its state
// tensors from an arena, and their names in a checkpoint.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fit/optimizer_state.h"

namespace nibble {

class Optimizer {
 public:
  /// Takes state from the arena. Throws UsageError for an unknown name.
  Optimizer(const OptimizerOptions& options, const ParameterSet& parameters, Arena& arena);

  /// One update, the `step`-th (from 1), with gradients scaled by gradient_scale first. Refreshes
  /// the parameters' compute copies.
  void update(int64_t step, double learning_rate, double gradient_scale);

  /// State tensors by name, for checkpoints.
  const OptimizerState& state() const { return state_; }
  /// State of a run that has not begun.
  void reset();

 private:
  enum class Kind : uint8_t { kAdamW, kAdamW8bit, kSgd };
  AdamW8bit adamw8bit_op() const;
  Tensor state(std::string_view name) const;

  OptimizerOptions options_;
  Kind kind_ = Kind::kAdamW;
  const ParameterSet& parameters_;
  std::vector<ParameterRange> segments_;
  OptimizerState state_;
};

}  // namespace nibble
