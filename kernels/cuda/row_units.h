// SPDX-License-Identifier: Apache-2.0
// Rows of a matrix gone through as one run of units, each of several neighbouring elements.
#pragma once

#include <bit>
#include <cstdint>

#include "base/error.h"
#include "kernels/cuda/launch.h"

namespace nibble::cuda {

/// Which row a unit lies in, without a division: of numbers below 2^31, floor(n / d) is
/// n * ceil(2^(31+l) / d) >> (31+l), 2^l being the least power of two that is not below d (Granlund
/// and Montgomery 1994).
struct RowUnits {
  uint64_t factor;
  int shift;
  explicit RowUnits(int64_t units) {
    CHECK(units > 0 && units <= INT32_MAX);
    const auto d = static_cast<uint64_t>(units);
    shift = 31 + std::bit_width(d - 1);
    factor = ((uint64_t{1} << shift) + d - 1) / d;
  }
  __device__ __forceinline__ int64_t row_of(int64_t unit) const {
    return static_cast<int64_t>(static_cast<uint64_t>(unit) * factor >> shift);
  }
};

}  // namespace nibble::cuda
