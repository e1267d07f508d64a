// SPDX-License-Identifier: Apache-2.0
// The 8-bit dynamic data type (Dettmers, "8-Bit Approximations for Parallelism in Deep Learning",
// 2016) in the form bitsandbytes 0.50 gives it: seven decades below 1, each cut evenly, finer the
// higher it is. Optimizer states and the scales of 4-bit blocks are stored in it.
// A block's values x become v = x * (1 / absmax), and the code is the nearest entry to the middle
// of the cell that v falls into on an even grid of 65,536 points over [-1, 1]. The grid is
// bitsandbytes' CPU implementation; taking it over makes codes equal byte for byte.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace nibble {

enum class DynamicMap : uint8_t { kSigned, kUnsigned };

/// The 256 values, ascending, from -0.993 (signed) or 0 (unsigned) to 1.
const std::array<float, 256>& dynamic_map(DynamicMap kind);

/// The code of every point of the grid.
const std::array<uint8_t, 65536>& dynamic_grid(DynamicMap kind);

/// Where v lies on the grid; a NaN counts as -1.
inline int32_t dynamic_grid_index(float v) {
  const float clamped = v > -1.0f ? std::min(v, 1.0f) : -1.0f;
  return static_cast<int32_t>((clamped + 1.0f) * 32767.5f + 0.5f);
}

}  // namespace nibble
