// SPDX-License-Identifier: Apache-2.0
#include "kernels/simd.h"

#include <hwy/highway.h>

#include <cstdlib>
#include <string_view>

#include "base/error.h"

namespace nibble {
namespace {

constexpr int64_t kAvx512 = HWY_AVX3 | HWY_AVX3_DL;
constexpr int64_t kAvx2 = HWY_AVX2;

/// What NIBBLE_CPU forbids.
int64_t forbidden_targets(std::string_view name) {
  if (name.empty() || name == "avx512") return 0;
  if (name == "avx2") return kAvx512;
  if (name == "sse2") return kAvx512 | kAvx2 | HWY_SSE4 | HWY_SSSE3;
  throw UsageError(cat("NIBBLE_CPU=", name, ": no such instruction set; use sse2, avx2 or avx512"));
}

}  // namespace

void choose_simd_target() {
  // A throwing initialiser is tried again on the next call, so the fault is never swallowed.
  [[maybe_unused]] static const bool chosen = [] {
    const char* name = std::getenv("NIBBLE_CPU");
    hwy::DisableTargets(forbidden_targets(name ? name : ""));
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    return true;
  }();
}

std::string simd_target_name() {
  choose_simd_target();
  const int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  if (targets & kAvx512) return "AVX-512";
  if (targets & kAvx2) return "AVX2";
  return "SSE2";
}

}  // namespace nibble
