// SPDX-License-Identifier: Apache-2.0
// Runs a test once for every way to multiply pairs of bf16 that this processor has.
#pragma once

#include <cstdlib>

#include "kernels/simd.h"
#include "support/bf16_probe.h"

namespace nibble {

/// Whether loops over bf16 multiply that, and not f32.
inline bool loops_multiply_bf16() {
  choose_simd_target();
  return bf16_dot() != Bf16Dot::kNone;
}

/// What was chosen comes back when this goes.
struct ForcedBf16Dot {
  explicit ForcedBf16Dot(Bf16Dot dot) { set_bf16_dot_for_test(dot); }
  ~ForcedBf16Dot() { set_bf16_dot_for_test({}); }
};

/// Calls body() under each. With NIBBLE_CPU once: that is a choice already.
template <class Body>
void on_every_bf16_dot(const Body& body) {
  if (std::getenv("NIBBLE_CPU")) return body();
  for (const Bf16Dot dot : {Bf16Dot::kNone, Bf16Dot::kEmulated, Bf16Dot::kNative}) {
    if (dot == Bf16Dot::kEmulated && !(hwy::SupportedTargets() & HWY_AVX3)) break;
    if (dot == Bf16Dot::kNative && !executes_bf16_dot()) break;
    const ForcedBf16Dot forced(dot);
    body();
  }
}

}  // namespace nibble
