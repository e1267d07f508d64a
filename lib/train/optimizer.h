// SPDX-License-Identifier: Apache-2.0
// The optimizer and its state over all trained parameters: one of the kernels' updates, its state
// tensors on the device or paged (state_pager.h), and their names in a checkpoint.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "tensor/memory.h"
#include "train/state_pager.h"

namespace nibble {

class Optimizer {
 public:
  /// Takes state, or room for pages of it, from the arena. Throws UsageError for an unknown name.
  Optimizer(const OptimizerOptions& options, const ParameterSet& parameters, Arena& arena);

  /// An update comes next: paged state may begin to arrive. `parameters` are not touched.
  void prefetch();
  /// One update, the `step`-th (from 1), by gradients clipped to a norm (0: not clipped). Refreshes
  /// the parameters' compute copies. On a device nothing waits. Where the norm is not finite
  /// nothing changes.
  void update(int64_t step, double learning_rate, double max_norm);
  /// The norm of the last update's gradients, before they were clipped. Waits for the update.
  double gradient_norm() const;

  /// State tensors by name, for checkpoints; in the host's memory where the state is paged, and
  /// complete there once the stream is waited for.
  const OptimizerState& state() const { return pager_ ? pager_->state() : state_; }
  /// State of a run that has not begun.
  void reset();

 private:
  enum class Kind : uint8_t { kAdamW, kAdamW8bit, kSgd };
  /// What is updated in one go: all of the flat storage, or a page.
  struct Part {
    Tensor values, gradients;
    std::span<const ParameterRange> segments;
    const OptimizerState& state;
  };
  struct Factors {
    int64_t step;
    double learning_rate;
  };
  void update(const Part& part, const Factors& factors) const;

  OptimizerOptions options_;
  Kind kind_ = Kind::kAdamW;
  const ParameterSet& parameters_;
  std::vector<ParameterRange> segments_;
  OptimizerState state_;
  ClipFactors clip_factors_;
  std::unique_ptr<StatePager> pager_;
};

}  // namespace nibble
