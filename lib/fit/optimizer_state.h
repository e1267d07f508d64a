// SPDX-License-Identifier: Apache-2.0
// What an optimizer keeps, laid out: the tensors that training updates and that the memory plan
// counts, by their names in a checkpoint.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/parameters.h"

namespace nibble {

struct OptimizerOptions {
  std::string name = "adamw";  // adamw, adamw-8bit, sgd
  double weight_decay = 0.0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, momentum = 0.0;
  /// State in the host's memory, brought to the device page by page (state_pages.h). On the CPU it
  /// is there already.
  bool paged = false;
  int64_t page_elements = int64_t{1} << 21;
};

/// Sets name and paged as --optimizer has them: "paged-adamw-8bit". Throws UsageError for an
/// unknown name; the way back.
void set_optimizer(OptimizerOptions& options, std::string_view name);
std::string optimizer_name(const OptimizerOptions& options);

/// What an array of the state counts: elements of the flat storage; blocks of 8-bit state; elements
/// of tensors too small for that.
enum class StateUnit : uint8_t { kElement, kBlock, kSmall };

struct StateCounts {
  int64_t elements = 0, blocks = 0, small = 0;
  int64_t of(StateUnit unit) const {
    return unit == StateUnit::kElement ? elements : unit == StateUnit::kBlock ? blocks : small;
  }
};
StateCounts state_counts(const ParameterSet& parameters);

struct StateArray {
  const char* name;
  StateUnit unit;
  Tensor tensor;
};
using OptimizerState = std::vector<StateArray>;

/// Takes state for so many. Throws UsageError for an unknown name.
OptimizerState take_optimizer_state(Arena& arena, const OptimizerOptions& options,
                                    const StateCounts& counts);
inline OptimizerState take_optimizer_state(Arena& arena, const OptimizerOptions& options,
                                           const ParameterSet& parameters) {
  return take_optimizer_state(arena, options, state_counts(parameters));
}

/// Where an update finds how much its gradients are clipped, and leaves their norm: (1) f32 each.
struct ClipFactors {
  Tensor clip, norm;
};
ClipFactors take_clip_factors(Arena& arena);

}  // namespace nibble
