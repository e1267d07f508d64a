// SPDX-License-Identifier: Apache-2.0
// The code books of quantised weights and optimizer states, equal to bitsandbytes 0.50's bit for
// bit.
//   NF4 (Dettmers et al., "QLoRA", 2023): quantiles of a normal distribution, ascending.
//   FP4: a sign, two bits of exponent and one of mantissa, over the greatest value, by bit pattern.
//   dynamic 8 bits (Dettmers, "8-Bit Approximations for Parallelism in Deep Learning", 2016): seven
//     decades below 1, each cut evenly, finer the higher it is, ascending.
// A block of values x becomes dynamic codes by v = x * (1 / absmax): the code is the entry nearest
// to the middle of the cell that v falls into on an even grid of 65,536 points over [-1, 1]. The
// grid is bitsandbytes' CPU implementation; taking it over makes codes equal byte for byte.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "kernels/dequantize.h"

namespace nibble {

/// The 16 values of NF4 or FP4 in the order of their codes.
std::span<const float, 16> code_book(QuantType type);

/// A factor under which the book's values lie near to bf16: FP4's are such numbers, NF4's are
/// within 0.0016 of one, where bf16 may be off by 0.0039, and by 0.0031 for NF4 as it is.
constexpr float bf16_book_scale(QuantType type) {
  return type == QuantType::kNf4 ? 1.188811f : 1.5f;
}

/// How a number in [-1, 1] finds its 4-bit code: its rank is the number of midpoints (between
/// neighbouring values of the book) below it.
struct CodeRanks {
  std::array<float, 15> midpoint;  // ascending
  std::array<uint8_t, 16> code;    // by rank
};
CodeRanks code_ranks(QuantType type);

/// bitsandbytes divides a block of weights by no less, so that one of zeros gives zeros and no NaN.
inline constexpr float kLeastAbsmax = 1e-38f;

enum class DynamicMap : uint8_t { kSigned, kUnsigned };

/// The 256 values, ascending, from -0.993 (signed) or 0 (unsigned) to 1.
const std::array<float, 256>& dynamic_map(DynamicMap kind);

/// The code of every point of the grid; v lies on point (v + 1) * 32767.5 + 0.5, cut off.
const std::array<uint8_t, 65536>& dynamic_grid(DynamicMap kind);

}  // namespace nibble
