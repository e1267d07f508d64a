// SPDX-License-Identifier: Apache-2.0
// Run-time choice of instruction set for CPU loops, by Highway. A kernel file compiles its loops
// once a target (SSE2, AVX2, AVX-512); the best one that the machine has runs. NIBBLE_CPU=sse2|
// avx2|avx512 in the environment lowers it, for tests and for comparing machines.
#pragma once

#include <string>

namespace nibble {

/// Applies NIBBLE_CPU, once, before the first kernel. Throws UsageError for an unknown name.
void choose_simd_target();

/// "AVX-512", "AVX2" or "SSE2": what the loops run on.
std::string simd_target_name();

}  // namespace nibble
