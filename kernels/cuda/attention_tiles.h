// SPDX-License-Identifier: Apache-2.0
// Tiles of bf16 matrices in shared memory and products of them by mma.sync, for attention forward
// and backward. A tile's row holds kD elements and eight more, so that the eight rows that ldmatrix
// reads at a time lie in different banks.
#pragma once

#include <cmath>

#include "kernels/attention.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {

using Bf16 = __nv_bfloat16;

template <int kD>
inline constexpr int kTileStride = kD + 8;

template <int kD, int kRows>
inline constexpr size_t kTileBytes = sizeof(Bf16) * kTileStride<kD>* kRows;

/// Starts copying rows [first, first + kRows) of a matrix whose rows are `stride` apart. Rows from
/// `end` on and columns from `width` on (a multiple of 8) arrive as zeros.
template <int kD, int kRows, int kThreads>
__device__ __forceinline__ void load_tile(Bf16* tile, const Bf16* matrix, int64_t stride, int first,
                                          int end, int width) {
  constexpr int kChunks = kD / 8;
  static_assert(kD % 8 == 0, "a chunk is 16 bytes");
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kChunks; i += kThreads) {
    const int row = i / kChunks, column = i % kChunks * 8;
    const bool valid = first + row < end && column < width;
    const Bf16* from = valid ? matrix + (first + row) * stride + column : matrix;
    cp_async16(tile + row * kTileStride<kD> + column, from, valid);
  }
}

__device__ __forceinline__ int lane_id() {
  return static_cast<int>(threadIdx.x) % kWarp;
}

/// Rows [row, row + 16) and columns [k, k + 16) as the first operand of mma.
template <int kD>
__device__ __forceinline__ void load_a(uint32_t (&a)[4], const Bf16* tile, int row, int k) {
  const int lane = lane_id();
  ldmatrix_x4(a, tile + (row + lane % 16) * kTileStride<kD> + k + lane / 16 * 8);
}

/// Two second operands (8 columns each) from sixteen rows of a tile, which are the product's
/// columns; the sum runs along the row from k on. b[0], b[1] are the first, b[2], b[3] the second.
template <int kD>
__device__ __forceinline__ void load_b_along(uint32_t (&b)[4], const Bf16* tile, int row, int k) {
  const int lane = lane_id();
  ldmatrix_x4(b, tile + (row + lane % 8 + lane / 16 * 8) * kTileStride<kD> + k + lane / 8 % 2 * 8);
}

/// The same where the sum runs down sixteen rows and the product's columns are the tile's.
template <int kD>
__device__ __forceinline__ void load_b_down(uint32_t (&b)[4], const Bf16* tile, int k, int column) {
  const int lane = lane_id();
  ldmatrix_x4_trans(b, tile + (k + lane % 16) * kTileStride<kD> + column + lane / 16 * 8);
}

__device__ __forceinline__ void mma_pair(float (&d0)[4], float (&d1)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[4]) {
  const uint32_t first[2] = {b[0], b[1]}, second[2] = {b[2], b[3]};
  mma_16x8x16(d0, a, first);
  mma_16x8x16(d1, a, second);
}

/// sums (16 x 8 kTiles) = rows [a_row, a_row + 16) of `a` times rows [b_row, ...) of `b`, both kD
/// wide.
template <int kD, int kTiles>
__device__ __forceinline__ void multiply_rows(float (&sums)[kTiles][4], const Bf16* a, int a_row,
                                              const Bf16* b, int b_row) {
#pragma unroll
  for (int j = 0; j < kTiles; ++j)
#pragma unroll
    for (int i = 0; i < 4; ++i) sums[j][i] = 0.0f;
#pragma unroll
  for (int k = 0; k < kD; k += 16) {
    uint32_t left[4];
    load_a<kD>(left, a, a_row, k);
#pragma unroll
    for (int j = 0; j < kTiles; j += 2) {
      uint32_t right[4];
      load_b_along<kD>(right, b, b_row + j * 8, k);
      mma_pair(sums[j], sums[j + 1], left, right);
    }
  }
}

/// sums (16 x 8 kColumns) += weights (16 x 8 kTiles), rounded to bf16, times the tile's rows from 0
/// and columns from `column` on.
template <int kD, int kTiles, int kColumns>
__device__ __forceinline__ void add_weighted(float (&sums)[kColumns][4],
                                             const float (&weights)[kTiles][4], const Bf16* tile,
                                             int column) {
#pragma unroll
  for (int j = 0; j < kTiles; j += 2) {
    const uint32_t left[4] = {pack_bf16(weights[j][0], weights[j][1]),
                              pack_bf16(weights[j][2], weights[j][3]),
                              pack_bf16(weights[j + 1][0], weights[j + 1][1]),
                              pack_bf16(weights[j + 1][2], weights[j + 1][3])};
#pragma unroll
    for (int c = 0; c < kColumns; c += 2) {
      uint32_t right[4];
      load_b_down<kD>(right, tile, j * 8, column + c * 8);
      mma_pair(sums[c], sums[c + 1], left, right);
    }
  }
}

/// What all attention kernels are told. Rows are tokens of the packed batch.
struct AttentionArgs {
  const int32_t* starts;
  const int32_t* parents;  // null: no tree
  int sequences, rows, heads, kv_heads, head_dim, window;
  float scale;

  /// The first row that `row` may look at: its sequence's start, or its window's.
  __device__ __forceinline__ int first_key(int row) const {
    const int start = starts[sequence_of(row)];
    return window > 0 ? max(row - window + 1, start) : start;
  }
  /// One past the last row that looks at `row`.
  __device__ __forceinline__ int end_of_queries(int row) const {
    const int end = starts[sequence_of(row) + 1];
    return window > 0 ? min(row + window, end) : end;
  }
  __device__ __forceinline__ int sequence_of(int row) const {
    return last_part(sequences, row, [this](int s) { return starts[s]; });
  }
  /// body(first, end) for the rows that `row` of `sequence` looks at, from its own sequence up to
  /// the tree's root; where a sequence above is empty, first is end.
  template <class Body>
  __device__ __forceinline__ void for_path(int row, int sequence, const Body& body) const {
    int left = window > 0 ? window : INT32_MAX, end = row + 1;
    while (true) {
      const int first = max(end - left, starts[sequence]);
      body(first, end);
      left -= end - first;
      sequence = parents ? parents[sequence] : -1;
      if (sequence < 0 || left == 0) return;
      end = starts[sequence + 1];
    }
  }
  __device__ __forceinline__ int kv_head(int head) const { return head / (heads / kv_heads); }
  __device__ __forceinline__ int64_t qkv_stride() const {
    return static_cast<int64_t>(heads + 2 * kv_heads) * head_dim;
  }
  __device__ __forceinline__ int64_t out_stride() const {
    return static_cast<int64_t>(heads) * head_dim;
  }
};

/// What the kernels of the backward pass are told.
struct AttentionGradientArgs {
  Bf16* dqkv;
  int64_t dqkv_stride;
  const Bf16 *dout, *qkv;
  const float *lse, *delta;
  AttentionArgs attention;
};

inline AttentionArgs attention_args(const AttentionShape& shape, const Tensor& starts,
                                    const Tensor& parents, int64_t rows) {
  CHECK(rows <= INT32_MAX && shape.window <= INT32_MAX);
  return {.starts = device_pointer<int32_t>(starts),
          .parents = device_pointer<int32_t>(parents),
          .sequences = static_cast<int>(starts.dim(0)) - 1,
          .rows = static_cast<int>(rows),
          .heads = static_cast<int>(shape.heads),
          .kv_heads = static_cast<int>(shape.kv_heads),
          .head_dim = static_cast<int>(shape.head_dim),
          .window = static_cast<int>(shape.window),
          .scale = shape.scale};
}

/// Blocks start in the order of their numbers, so these are given out with the tiles that have most
/// to do first, of all heads, and the shortest last: a multiprocessor that is done early takes one
/// of those. Number after number the tiles of one head instead would end with a whole head's
/// longest tiles (by a model of the order of starts, on 132 multiprocessors and 4096 tokens of 8
/// key/value heads: 1.6 times the mean for keys' gradients, against 1.01 so).
inline dim3 tiles_and_heads(int64_t rows, int tile, int64_t heads) {
  const int64_t blocks = int64_t{blocks_for(rows, tile)} * heads;
  CHECK(blocks <= INT32_MAX);
  return dim3(static_cast<unsigned>(blocks));
}
__device__ __forceinline__ int head_of_block(int heads) {
  return static_cast<int>(blockIdx.x) % heads;
}
__device__ __forceinline__ int tile_of_block(int heads) {
  return static_cast<int>(blockIdx.x) / heads;
}
/// Where the last tiles have most to do: the last first.
__device__ __forceinline__ int tile_of_block_from_last(int heads) {
  return static_cast<int>(gridDim.x - 1 - blockIdx.x) / heads;
}

/// What blocks of all architectures may have: sm_86 and sm_89 give the least.
inline constexpr size_t kMostTileBytes = size_t{99} << 10;

inline constexpr float kLog2E = 1.4426950408889634f;
inline constexpr float kLn2 = 0.6931471805599453f;

/// Of the rows `row` and row + 8 of a head, for their gradients; lse in log2.
struct QueryRows {
  int first_key[2];
  float lse[2], delta[2];
};
__device__ __forceinline__ QueryRows query_rows(const AttentionGradientArgs& args, int row,
                                                int head) {
  const AttentionArgs& a = args.attention;
  QueryRows rows;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int at = min(row + half * 8, a.rows - 1);  // what a row past the last finds is not kept
    rows.first_key[half] = a.first_key(at);
    const int64_t place = static_cast<int64_t>(at) * a.heads + head;
    rows.lse[half] = args.lse[place] * kLog2E;
    rows.delta[half] = args.delta[place];
  }
  return rows;
}

/// Whether the tiled kernels can run: bf16 rows whose heads start at multiples of 16 bytes.
inline bool tiled(const AttentionShape& shape, std::initializer_list<Tensor> tensors) {
  if (shape.head_dim % 8 != 0) return false;
  for (const Tensor& t : tensors)
    if (t.dtype != Dtype::kBf16 || !wide_rows(t, shape.head_dim, 8)) return false;
  return true;
}

/// body(integral_constant kD), the narrowest tile that holds a head.
template <class Body>
void with_head_width(int64_t head_dim, const Body& body) {
  if (head_dim <= 32)
    body(std::integral_constant<int, 32>());
  else if (head_dim <= 64)
    body(std::integral_constant<int, 64>());
  else if (head_dim <= 80)
    body(std::integral_constant<int, 80>());
  else if (head_dim <= 96)
    body(std::integral_constant<int, 96>());
  else if (head_dim <= 128)
    body(std::integral_constant<int, 128>());
  else
    body(std::integral_constant<int, 256>());
}

}  // namespace nibble::cuda
