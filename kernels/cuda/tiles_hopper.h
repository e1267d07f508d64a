// SPDX-License-Identifier: Apache-2.0
// Tiles of bf16 matrices in shared memory as wgmma reads them, and products of them. A tile of
// kRows rows lies in panels of 64 columns, one panel after the other; within a panel the rows are
// 128 bytes each and swizzled (ptx_hopper.h). Bank conflicts there are none: eight rows' 16 bytes
// of one column lie in different banks, and so do a row's own.
#pragma once

#include "kernels/cuda/attention_tiles.h"
#include "kernels/cuda/ptx_hopper.h"

namespace nibble::cuda {

inline constexpr int kPanel = 64;  // columns
inline constexpr int kElement = sizeof(Bf16);
inline constexpr int kPanelBytes = kPanel * kElement;  // of a row in a panel
inline constexpr int kRowsBytes = 8 * kPanelBytes;

/// Starts copying rows [first, first + kRows) of a matrix, kD wide, whose rows are `stride` apart,
/// as thread `thread` of kThreads. Rows from `end` on arrive as zeros.
template <int kD, int kRows, int kThreads>
__device__ __forceinline__ void load_swizzled(Bf16* tile, const Bf16* matrix, int stride, int first,
                                              int end, int thread) {
  constexpr int kChunks = kD / 8, kStep = kThreads / kChunks;  // 16 bytes; rows at a time
  static_assert(kThreads % kChunks == 0 && kStep % 8 == 0 && kRows % kStep == 0);
  const int row = thread / kChunks, chunk = thread % kChunks;
  Bf16* const to = tile + chunk / 8 * (kRows * kPanel) + row * kPanel + (chunk % 8 ^ row % 8) * 8;
  const Bf16* const from = matrix + static_cast<int64_t>(first + row) * stride + chunk * 8;
#pragma unroll
  for (int i = 0; i < kRows; i += kStep) {
    const bool valid = first + row + i < end;
    cp_async16(to + i * kPanel, valid ? from + static_cast<int64_t>(i) * stride : matrix, valid);
  }
}

/// sums (64 x 8 kTiles) = rows [a_row, a_row + 64) of a tile of kRowsA rows times the 8 kTiles rows
/// of another. Is started, not awaited.
template <int kD, int kRowsA, int kTiles>
__device__ __forceinline__ void start_rows(float (&sums)[kTiles][4], const Bf16* a, int a_row,
                                           const Bf16* b) {
  constexpr int kRowsB = kTiles * 8;
  const uint64_t left = swizzled_matrix(a + a_row * kPanel, 0, kRowsBytes);
  const uint64_t right = swizzled_matrix(b, 0, kRowsBytes);
#pragma unroll
  for (int k = 0; k < kD; k += 16) {
    // Within a panel 32 bytes on: the hardware swizzles the bits of the sum of both.
    const int panel = k / kPanel * kPanelBytes, column = k % kPanel * kElement;
    const uint64_t from_left = matrix_after(left, panel * kRowsA + column);
    const uint64_t from_right = matrix_after(right, panel * kRowsB + column);
    if (k == 0)
      wgmma_along<false>(sums, from_left, from_right);
    else
      wgmma_along<true>(sums, from_left, from_right);
  }
}

/// sums (64 x kD) = weights (64 x 16 kSteps) times the 16 kSteps rows of a tile, or += where kAdd.
/// Is started, not awaited.
template <int kD, bool kAdd, int kSteps>
__device__ __forceinline__ void start_weighted(float (&sums)[kD / 8][4],
                                               const uint32_t (&weights)[kSteps][4],
                                               const Bf16* tile) {
  const uint64_t all = swizzled_matrix(tile, kSteps * 16 * kPanelBytes, kRowsBytes);
#pragma unroll
  for (int k = 0; k < kSteps; ++k) {
    const uint64_t rows = matrix_after(all, k * 16 * kPanelBytes);
    if (k == 0)
      wgmma_down<kAdd>(sums, weights[k], rows);
    else
      wgmma_down<true>(sums, weights[k], rows);
  }
}

/// A warpgroup's weights rounded to bf16, as start_weighted takes them.
template <int kSteps>
__device__ __forceinline__ void pack_weights(uint32_t (&packed)[kSteps][4],
                                             const float (&weights)[2 * kSteps][4]) {
#pragma unroll
  for (int k = 0; k < kSteps; ++k) {
    packed[k][0] = pack_bf16(weights[2 * k][0], weights[2 * k][1]);
    packed[k][1] = pack_bf16(weights[2 * k][2], weights[2 * k][3]);
    packed[k][2] = pack_bf16(weights[2 * k + 1][0], weights[2 * k + 1][1]);
    packed[k][3] = pack_bf16(weights[2 * k + 1][2], weights[2 * k + 1][3]);
  }
}

/// body(integral_constant kD) of the widths that these kernels are for.
template <class Body>
void with_swizzled_width(int head_dim, const Body& body) {
  if (head_dim == 64)
    body(std::integral_constant<int, 64>());
  else
    body(std::integral_constant<int, 128>());
}

}  // namespace nibble::cuda
