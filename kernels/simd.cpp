// SPDX-License-Identifier: Apache-2.0
#include "kernels/simd.h"

#include <hwy/highway.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/error.h"

namespace {

/// What this processor, and the system on it, runs of the sets that are compiled in.
int64_t detected_targets() {
  int64_t targets = HWY_STATIC_TARGET;
#define NIBBLE_HAS(name) (__builtin_cpu_supports(name) != 0)
  if (NIBBLE_HAS("avx2") && NIBBLE_HAS("fma") && NIBBLE_HAS("f16c") && NIBBLE_HAS("lzcnt") &&
      NIBBLE_HAS("bmi") && NIBBLE_HAS("bmi2"))
    targets |= HWY_AVX2;
  if ((targets & HWY_AVX2) && NIBBLE_HAS("avx512f") && NIBBLE_HAS("avx512vl") &&
      NIBBLE_HAS("avx512bw") && NIBBLE_HAS("avx512dq") && NIBBLE_HAS("avx512cd"))
    targets |= HWY_AVX3;
#undef NIBBLE_HAS
  return targets;
}

int64_t forbidden = 0;  // by NIBBLE_CPU
int64_t forced = 0;     // by a test

}  // namespace

// Highway's headers are used without its library, which measures the clock for 4 ms when it is
// loaded: longer than many a tool runs. This is what they ask of it.
namespace hwy {

int64_t SupportedTargets() {
  static const int64_t detected = detected_targets();
  const int64_t targets = (forced ? forced : detected) & ~forbidden;
  return targets ? targets : HWY_STATIC_TARGET;
}

void SetSupportedTargetsForTest(int64_t targets) {
  forced = targets;
}

ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

void Abort(const char* file, int line, const char* format, ...) {
  std::fprintf(stderr, "%s:%d: Highway: %s\n", file, line, format);
  std::abort();
}

}  // namespace hwy

namespace nibble {
namespace {

constexpr int64_t kAvx512 = HWY_AVX3 | HWY_AVX3_DL;
constexpr int64_t kAvx2 = HWY_AVX2;
constexpr std::string_view kForcedBf16 = "avx512bf16";

/// What NIBBLE_CPU forbids.
int64_t forbidden_targets(std::string_view name) {
  if (name.empty() || name == "avx512" || name == kForcedBf16) return 0;
  if (name == "avx2") return kAvx512;
  if (name == "sse2") return kAvx512 | kAvx2;
  throw UsageError(cat("NIBBLE_CPU=", name, ": no such instruction set; use sse2, avx2, avx512 or ",
                       kForcedBf16));
}

}  // namespace

void choose_simd_target() {
  // A throwing initialiser is tried again on the next call, so the fault is never swallowed.
  [[maybe_unused]] static const bool chosen = [] {
    const char* name = std::getenv("NIBBLE_CPU");
    forbidden = forbidden_targets(name ? name : "");
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    return true;
  }();
}

bool bf16_products_forced() {
  const char* name = std::getenv("NIBBLE_CPU");
  return name && name == kForcedBf16;
}

std::string simd_target_name() {
  choose_simd_target();
  const int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  if (targets & kAvx512) return "AVX-512";
  if (targets & kAvx2) return "AVX2";
  return "SSE2";
}

}  // namespace nibble
