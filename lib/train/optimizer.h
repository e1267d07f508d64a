// SPDX-License-Identifier: Apache-2.0
// The optimizer and its state over all trained parameters: one of the kernels' updates, its state
// tensors from an arena, and their names in a checkpoint.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fit/optimizer_state.h"
#include "tensor/memory.h"

namespace nibble {

class Optimizer {
 public:
  /// Takes state from the arena. Throws UsageError for an unknown name.
  Optimizer(const OptimizerOptions& options, const ParameterSet& parameters, Arena& arena);

  /// One update, the `step`-th (from 1), by gradients clipped to a norm (0: not clipped). Refreshes
  /// the parameters' compute copies. On a device nothing waits. Where the norm is not finite
  /// nothing changes.
  void update(int64_t step, double learning_rate, double max_norm);
  /// The norm of the last update's gradients, before they were clipped. Waits for the update.
  double gradient_norm() const;

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
  DeviceMemory clip_memory_;
  Tensor clip_, norm_;  // (1) f32
};

}  // namespace nibble
