// SPDX-License-Identifier: Apache-2.0
// Run-time choice of instruction set for CPU loops, by Highway. A kernel file compiles its loops
// once a target; the best one that the machine has runs. NIBBLE_CPU=sse2|avx2|avx512 in the
// environment lowers it, for tests and for comparing machines. "SSE2" is what any x86-64 runs:
// Highway's scalar target, one lane at a time, right but slow. NIBBLE_CPU=avx512bf16 is avx512 with
// products of bf16 by oneDNN even where the processor has none and oneDNN emulates them, slowly:
// how what such processors run is tested on others.
#pragma once

#include <string>

namespace nibble {

/// Applies NIBBLE_CPU, once; every entry calls it before its loops (NIBBLE_SIMD in args.h). Throws
/// UsageError for an unknown name.
void choose_simd_target();

/// Whether NIBBLE_CPU asks for products of bf16 whatever the processor says.
bool bf16_products_forced();

/// "AVX-512", "AVX2" or "SSE2": what the loops run on.
std::string simd_target_name();

}  // namespace nibble
