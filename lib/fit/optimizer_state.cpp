// SPDX-License-Identifier: Apache-2.0
#include "fit/optimizer_state.h"

namespace nibble {

OptimizerState take_optimizer_state(Arena& arena, const OptimizerOptions& options,
                                    const ParameterSet& parameters) {
  OptimizerState state;
  const int64_t n = parameters.extent();
  const auto take = [&](const char* name, Dtype dtype, int64_t count) {
    state.emplace_back(name, arena.take(dtype, {count}));
  };
  if (options.name == "adamw") {
    take("m", Dtype::kF32, n);
    take("v", Dtype::kF32, n);
  } else if (options.name == "adamw-8bit") {
    const auto segments = parameters.segments(static_cast<float>(options.weight_decay));
    const int64_t blocks = adamw8bit_blocks(segments), small = adamw8bit_small(segments);
    take("m_codes", Dtype::kU8, n);
    take("v_codes", Dtype::kU8, n);
    take("m_absmax", Dtype::kF32, blocks);
    take("v_absmax", Dtype::kF32, blocks);
    take("m_small", Dtype::kF32, small);
    take("v_small", Dtype::kF32, small);
  } else if (options.name == "sgd") {
    if (options.momentum > 0) take("momentum", Dtype::kF32, n);
  } else {
    throw UsageError(cat("--optimizer=", options.name, ": not one of adamw, adamw-8bit, sgd"));
  }
  return state;
}

}  // namespace nibble
