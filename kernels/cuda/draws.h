// SPDX-License-Identifier: Apache-2.0
// Random words of masks and noise (elementwise.h), four elements a draw.
#pragma once

#include <array>

#include "base/rng.h"
#include "kernels/cuda/values.h"
#include "kernels/elementwise.h"

namespace nibble::cuda {

struct Draws {
  uint64_t seed, stream, counter;
  const int32_t* draw;
  /// The counter of the first four elements.
  __device__ __forceinline__ uint64_t first() const {
    return counter + (draw ? static_cast<uint64_t>(*draw) << kDrawShift : 0);
  }
  __device__ __forceinline__ std::array<uint32_t, 4> words(int64_t group) const {
    return philox(seed, stream, first() + static_cast<uint64_t>(group));
  }
};

/// Inverted dropout of what `word` is drawn for; scale is 1 / (1 - p).
__device__ __forceinline__ float dropped(float x, uint32_t word, float p, float scale) {
  return unit_float(word) >= p ? x * scale : 0.0f;
}

}  // namespace nibble::cuda
