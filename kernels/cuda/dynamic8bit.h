// SPDX-License-Identifier: Apache-2.0
// Dynamic 8-bit codes on the device (kernels/code_books.h). A code is found from the middle of its
// cell of the even grid, as on the CPU, by counting the midpoints of the map that lie below it.
#pragma once

#include "kernels/code_books.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {

inline constexpr int kCodes = 256;

/// The 256 values, as a kernel parameter.
struct CodeMap {
  float value[kCodes];
};
inline CodeMap code_map(DynamicMap kind) {
  CodeMap map;
  const auto& values = dynamic_map(kind);
  std::copy(values.begin(), values.end(), map.value);
  return map;
}

/// The code of v = x / absmax in [-1, 1].
__device__ __forceinline__ int dynamic_code(float v, const float* map) {
  constexpr float kCell = 1.0f / 32767.5f;
  v = fmaxf(fminf(v, 1.0f), -1.0f);
  const int point = static_cast<int>(product(v + 1.0f, 32767.5f) + 0.5f) & 0xffff;
  const float middle = product(static_cast<float>(point), kCell) - 1.0f;
  int low = 0, high = kCodes - 1;
  while (low < high) {
    const int code = (low + high) / 2;
    if (middle > (map[code] + map[code + 1]) / 2.0f)
      low = code + 1;
    else
      high = code;
  }
  return low;
}

/// Codes of a block of 256 and its absmax; a lane holds elements lane, lane + 32, and so on, so
/// that a warp's accesses lie side by side wherever the block starts. Elements from `count` on are
/// zero and not stored.
__device__ __forceinline__ float store_codes(uint8_t* codes, const float (&x)[8], int count,
                                             const float* map) {
  float most = 0.0f;
#pragma unroll
  for (const float v : x) most = fmaxf(most, fabsf(v));
  const float absmax = warp_max(most);
  const float inverse = absmax > 0.0f ? 1.0f / absmax : 0.0f;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
#pragma unroll
  for (int i = 0; i < 8; ++i)
    if (const int at = i * kWarp + lane; at < count)
      codes[at] =
          static_cast<uint8_t>(absmax > 0.0f ? dynamic_code(product(x[i], inverse), map) : 0);
  return absmax;
}

}  // namespace nibble::cuda
