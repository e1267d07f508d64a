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

std::string_view asked_for() {
  const char* name = std::getenv("NIBBLE_CPU");
  return name ? name : "";
}

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
    forbidden = forbidden_targets(asked_for());
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    return true;
  }();
}

Bf16Dot bf16_of_processor() {
  choose_simd_target();
  static const Bf16Dot dot = [] {
    const std::string_view name = asked_for();
    if (!(hwy::SupportedTargets() & kAvx512) || (!name.empty() && name != kForcedBf16))
      return Bf16Dot::kNone;
    if (__builtin_cpu_supports("avx512bf16")) return Bf16Dot::kNative;
    return name == kForcedBf16 ? Bf16Dot::kEmulated : Bf16Dot::kNone;
  }();
  return dot;
}

namespace {

std::optional<Bf16Dot> dot_of_test;

/// AMD's cores and Cooper Lake start as many vdpbf16ps as f32 multiply-adds, each worth two.
/// Intel's cores with AMX leave bf16 to that and start one every second cycle (measured on Emerald
/// Rapids: 93 GFLOP/s, and 192 in f32).
bool bf16_dot_is_fast() {
  return !__builtin_cpu_is("intel") || __builtin_cpu_is("cooperlake");
}

}  // namespace

Bf16Dot bf16_dot() {
  static const Bf16Dot chosen =
      bf16_dot_is_fast() || asked_for() == kForcedBf16 ? bf16_of_processor() : Bf16Dot::kNone;
  if (!(hwy::SupportedTargets() & kAvx512)) return Bf16Dot::kNone;
  return dot_of_test ? *dot_of_test : chosen;
}

void set_bf16_dot_for_test(std::optional<Bf16Dot> dot) {
  dot_of_test = dot;
}

std::string simd_target_name() {
  choose_simd_target();
  const int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  if (targets & kAvx512) return bf16_of_processor() == Bf16Dot::kNone ? "AVX-512" : "AVX-512-BF16";
  if (targets & kAvx2) return "AVX2";
  return "SSE2";
}

}  // namespace nibble
