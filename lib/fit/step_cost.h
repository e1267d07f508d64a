// SPDX-License-Identifier: Apache-2.0
// How long a step takes, by roofline: products at a share of the matmul rate, everything else at
// the memory's. The counts are the algorithm's own (multiply-adds of each product, bytes that each
// pass must read and write); the shares are assumptions, printed with every prediction.
#pragma once

#include "fit/memory_plan.h"

namespace nibble {

/// What a machine can do at best, and the share of it that a step reaches. The defaults are for a
/// GPU's specified rates; a measured rate is reached by the step's own products too.
struct Rates {
  double matmul_flops = 0.0;  // a second, operands in the compute type
  double memory_bytes = 0.0;  // a second
  // Of a processor, as kernels/machine_rates.h measures them; 0: products are bound by memory.
  double expanded_weights = 0.0, vector_flops = 0.0;
  double matmul_share = 0.70, memory_share = 0.75;
};
inline constexpr double kMeasuredShare = 0.85;

struct StepCost {
  double flops = 0.0, bytes = 0.0;                      // of a micro-batch, the update left out
  double recompute_flops = 0.0, recompute_bytes = 0.0;  // of these, for what is made again
  double update_bytes = 0.0;                            // of an update

  /// Of an update over `micro_batches`.
  double seconds(const Rates& rates, int64_t micro_batches) const;
};

/// Of training: forward, backward through frozen and trained weights, head and loss.
StepCost training_cost(const Model& model, const TrainJob& job);

std::vector<std::string> cost_assumptions(const Rates& rates);

}  // namespace nibble
