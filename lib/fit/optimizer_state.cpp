// SPDX-License-Identifier: Apache-2.0
#include "fit/optimizer_state.h"

#include <span>

#include "base/quote.h"

namespace nibble {
namespace {

struct ArrayKind {
  const char* name;
  Dtype dtype;
  StateUnit unit;
};

constexpr ArrayKind kAdamW[] = {{"m", Dtype::kF32, StateUnit::kElement},
                                {"v", Dtype::kF32, StateUnit::kElement}};
constexpr ArrayKind kAdamW8bit[] = {
    {"m_codes", Dtype::kU8, StateUnit::kElement}, {"v_codes", Dtype::kU8, StateUnit::kElement},
    {"m_absmax", Dtype::kF32, StateUnit::kBlock}, {"v_absmax", Dtype::kF32, StateUnit::kBlock},
    {"m_small", Dtype::kF32, StateUnit::kSmall},  {"v_small", Dtype::kF32, StateUnit::kSmall}};
constexpr ArrayKind kSgd[] = {{"momentum", Dtype::kF32, StateUnit::kElement}};

std::span<const ArrayKind> arrays_of(const OptimizerOptions& options) {
  if (options.name == "adamw") return kAdamW;
  if (options.name == "adamw-8bit") return kAdamW8bit;
  if (options.name != "sgd")
    throw UsageError(cat("--optimizer=", options.name, ": not one of adamw, adamw-8bit, sgd"));
  return options.momentum > 0 ? std::span<const ArrayKind>(kSgd) : std::span<const ArrayKind>();
}

constexpr std::string_view kPaged = "paged-";

}  // namespace

void set_optimizer(OptimizerOptions& options, std::string_view name) {
  options.paged = name.starts_with(kPaged);
  options.name = options.paged ? name.substr(kPaged.size()) : name;
  arrays_of(options);
}

std::string optimizer_name(const OptimizerOptions& options) {
  return cat(options.paged ? kPaged : "", options.name);
}

StateCounts state_counts(const ParameterSet& parameters) {
  const auto segments = parameters.segments(0.0f);
  return {parameters.extent(), adamw8bit_blocks(segments), adamw8bit_small(segments)};
}

OptimizerState take_optimizer_state(Arena& arena, const OptimizerOptions& options,
                                    const StateCounts& counts) {
  OptimizerState state;
  for (const ArrayKind& a : arrays_of(options))
    state.push_back({a.name, a.unit, arena.take(a.dtype, {counts.of(a.unit)})});
  return state;
}

ClipFactors take_clip_factors(Arena& arena) {
  const Tensor both = arena.take(Dtype::kF32, {2});
  return {rows(both, 0, 1), rows(both, 1, 1)};
}

}  // namespace nibble
