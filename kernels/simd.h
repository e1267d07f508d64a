// SPDX-License-Identifier: Apache-2.0
// Run-time choice of instruction set for CPU loops, by Highway. A kernel file compiles its loops
// once a target; the best one that the machine has runs. NIBBLE_CPU=sse2|avx2|avx512 in the
// environment lowers it, for tests and for comparing machines. "SSE2" is what any x86-64 runs:
// Highway's scalar target, one lane at a time, right but slow. NIBBLE_CPU=avx512bf16 is avx512 with
// products of bf16 even where a processor has none: our loops emulate them, slowly. It is how what
// such processors run is tested on others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace nibble {

/// Applies NIBBLE_CPU, once; every entry calls it before its loops (NIBBLE_SIMD in args.h). Throws
/// UsageError for an unknown name.
void choose_simd_target();

/// How pairs of bf16 are multiplied and added to an f32: not at all, as f32 (to the same bits), or
/// by AVX-512-BF16's instruction.
enum class Bf16Dot : uint8_t { kNone, kEmulated, kNative };

/// What the processor and NIBBLE_CPU come to.
Bf16Dot bf16_of_processor();
/// What loops use: that, unless f32 is faster here, or what a test set, which must be able to run.
Bf16Dot bf16_dot();
void set_bf16_dot_for_test(std::optional<Bf16Dot> dot);

/// "AVX-512-BF16", "AVX-512", "AVX2" or "SSE2": what the loops run on.
std::string simd_target_name();

}  // namespace nibble
