// SPDX-License-Identifier: Apache-2.0
// How sure a score is: bootstrap intervals of a system's scores (Koehn, 2004), and whether two
// systems differ, by paired bootstrap or by approximate randomization (Riezler and Maxwell, 2005).
// Examples are drawn as sacrebleu draws them, so that the same seed gives the same figures.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "score/scorer.h"

namespace nibble {

/// Of one score over all trials. The ends leave out 2.5 % each.
struct Interval {
  double mean = 0.0, low = 0.0, high = 0.0;
};

/// Intervals of a metric's scores; empty where it cannot be resampled.
std::vector<Interval> bootstrap(const Measured& m, int64_t trials, uint64_t seed);

enum class PairedTest : uint8_t { kBootstrap, kRandomization };

/// The p-value of each of a metric's scores: how likely a difference as large is, were the two
/// systems as good as each other. Both must have measured the same examples. Empty where the metric
/// cannot be resampled.
std::vector<double> paired_test(PairedTest test, const Measured& system, const Measured& baseline,
                                std::span<const double> system_scores,
                                std::span<const double> baseline_scores, int64_t trials,
                                uint64_t seed);

}  // namespace nibble
