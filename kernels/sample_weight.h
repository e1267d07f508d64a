// SPDX-License-Identifier: Apache-2.0
// The integers that sampling (sample.h) computes with on either device. constexpr: kernels call
// them too.
#pragma once

#include <cstdint>

#include "base/rng.h"

namespace nibble {

/// The weight of the largest logit: 2^40, so that a million of them fit into 64 bits.
inline constexpr int kWeightBits = 40;
inline constexpr uint64_t kFullWeight = uint64_t{1} << kWeightBits;

/// 2^40 exp(x - top), rounded down, for x <= top; good to 2^-24 of itself and one unit. 0 for -inf.
/// One rounding to fp32 and a product, which no compiler can make one, then integers alone.
constexpr uint64_t sample_weight(float x, float top) {
  const float below = top - x;
  if (!(below < 29.0f)) return 0;                                   // exp(-29) < 2^-41
  const auto octaves = static_cast<uint32_t>(below * 24204406.0f);  // log2(e) 2^24
  const uint64_t part = static_cast<uint64_t>(octaves & 0xffffffu) << 8;
  // 2^-f for f in [0, 1): its Taylor series by Horner's rule, ln(2)^k / k! times 2^32.
  uint64_t power = 437;
  power = 5676 - (part * power >> 32);
  power = 65510 - (part * power >> 32);
  power = 661577 - (part * power >> 32);
  power = 5726720 - (part * power >> 32);
  power = 41309550 - (part * power >> 32);
  power = 238388332 - (part * power >> 32);
  power = 1031764991 - (part * power >> 32);
  power = 2977044472 - (part * power >> 32);
  power = 4294967296 - (part * power >> 32);
  return (power << (kWeightBits - 32)) >> (octaves >> 24);
}

/// floor(total u), u in [0, 1) being the draw for a text of that name and length.
constexpr uint64_t sample_target(uint64_t seed, int32_t sequence, int32_t length, uint64_t total) {
  const uint64_t stream = (static_cast<uint64_t>(RngStream::kSample) << 48) ^
                          (static_cast<uint64_t>(static_cast<uint32_t>(sequence)) << 24) ^
                          static_cast<uint64_t>(static_cast<uint32_t>(length));
  const auto words = philox(seed, stream, 0);
  // The upper half of a product of 64 bits, from products of 32.
  const uint64_t low = words[0] & ~uint64_t{0x7ff}, high = words[1];
  const uint64_t a = total & 0xffffffffu, b = total >> 32;
  const uint64_t middle = (low * a >> 32) + (high * a & 0xffffffffu) + (low * b & 0xffffffffu);
  return high * b + (high * a >> 32) + (low * b >> 32) + (middle >> 32);
}

/// What of the kept weights must stay after top-p.
constexpr uint64_t top_p_need(double p, uint64_t total) {
  const auto gone = static_cast<uint64_t>((1.0 - p) * static_cast<double>(total));
  return gone < total ? total - gone : 1;
}

/// The least weight that min-p keeps.
constexpr uint64_t min_p_weight(double p) {
  return static_cast<uint64_t>(p * static_cast<double>(kFullWeight));
}

}  // namespace nibble
