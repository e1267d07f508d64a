// SPDX-License-Identifier: Apache-2.0
#include "kernels/simd.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"

namespace nibble {
namespace {

// NIBBLE_CPU is read once a process, so each value is tried in a child.
void exit_with_name(const char* cpu) {
  setenv("NIBBLE_CPU", cpu, 1);
  try {
    const std::string name = simd_target_name();
    fprintf(stderr, "%s", name.c_str());
    std::exit(0);
  } catch (const UsageError& error) {
    fprintf(stderr, "%s", error.what());
    std::exit(64);
  }
}

TEST(SimdDeathTest, NibbleCpuLowersTheTarget) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(exit_with_name("sse2"), testing::ExitedWithCode(0), "^SSE2$");
  EXPECT_EXIT(exit_with_name("avx2"), testing::ExitedWithCode(0), "^(AVX2|SSE2)$");
  if (__builtin_cpu_supports("avx2")) {
    EXPECT_EXIT(exit_with_name("avx2"), testing::ExitedWithCode(0), "^AVX2$");
  }
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
    EXPECT_EXIT(exit_with_name("avx512"), testing::ExitedWithCode(0), "^AVX-512$");
    EXPECT_EXIT(exit_with_name("avx512bf16"), testing::ExitedWithCode(0), "^AVX-512-BF16$");
  }
}

TEST(SimdDeathTest, AnUnknownNameIsRefused) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(exit_with_name("neon"), testing::ExitedWithCode(64),
              "NIBBLE_CPU=neon: no such instruction set; use sse2, avx2, avx512 or avx512bf16");
}

}  // namespace
}  // namespace nibble
