// SPDX-License-Identifier: Apache-2.0
// What BLEU's kin share: the closest reference length, and sacrebleu's signatures.
#pragma once

#include <cstdlib>
#include <span>
#include <string>

#include "base/error.h"
#include "score/metric.h"

namespace nibble {

/// The reference length closest to `length`, the shorter of two.
inline int64_t closest_length(int64_t length, std::span<const int64_t> references) {
  int64_t closest = references.front();
  for (const int64_t l : references) {
    const int64_t here = std::abs(l - length), best = std::abs(closest - length);
    if (here < best || (here == best && l < closest)) closest = l;
  }
  return closest;
}

/// The sacrebleu whose figures ours are equal to.
inline constexpr std::string_view kSacrebleuVersion = "version:2.6.0";

/// "nrefs:1|bs:1000|seed:12345|": how sacrebleu's signatures begin.
inline std::string signature_start(const CorpusFacts& facts) {
  return cat("nrefs:", facts.references < 0 ? "var" : std::to_string(facts.references), "|",
             facts.trials);
}

}  // namespace nibble
