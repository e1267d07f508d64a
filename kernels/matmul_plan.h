// SPDX-License-Identifier: Apache-2.0
// How the CPU cuts a product that it sums in f32: a grid of parts, one a thread, blocks within a
// part that stay in a core's cache, and pieces of a block's rows, which threads that are done take
// from others. Operands are taken in steps of k: one element of each, widened to f32, or a pair of
// bf16, of the same size.
#pragma once

#include "kernels/matmul_cpu.h"
#include "kernels/simd.h"

namespace nibble::cpu {

// The largest tile of any instruction set, so that plans and scratch do not depend on it.
inline constexpr int64_t kMaxTileRows = 12, kMaxTileCols = 32;
// Rows of a transposed left operand that are widened together: whole tiles, whole vectors.
inline constexpr int64_t kWideRows = 48;
// Keeps rows on the left off the same cache sets.
inline constexpr int64_t kPad = 16;

/// out (m,n) = alpha * left (m,k) right (k,n) + beta * out.
struct Plan {
  Tensor out, left, right;
  bool out_turned = false;        // out, as stored, is (n,m)
  bool left_depth_major = false;  // left, as stored, is (k,m)
  bool right_transposed = false;  // right, as stored, is (n,k)
  float alpha = 1.0f, beta = 0.0f;
  int64_t m = 0, n = 0, k = 0;

  Bf16Dot dot = Bf16Dot::kNone;  // other than that: both operands are bf16, a step is a pair
  int64_t part_rows = 1, part_cols = 1;
  int64_t block_m = 0, block_n = 0, block_k = 0;
  int64_t row_blocks = 1, column_blocks = 1;  // of a part
  bool packs_right = true;  // else it is read in place, all but a last narrow panel
  bool sums_apart = false;  // several blocks of k and an out that cannot hold their f32 sums

  int64_t left_elements = 0, right_elements = 0, sum_elements = 0;  // of a part's scratch
  float* scratch = nullptr;

  int64_t parts() const { return part_rows * part_cols; }
  int64_t pieces() const { return parts() * row_blocks * column_blocks; }
  int64_t part_elements() const { return left_elements + right_elements + sum_elements; }
};

Plan make_plan(const Matmul& op);

/// Rows [m, m+rows), columns [n, n+cols), depth [k, k+depth) of the product.
struct Block {
  int64_t m = 0, rows = 0, n = 0, cols = 0, k = 0, depth = 0;
};

/// A piece, of all of k; a part's come one after another, those of the same columns too. It may
/// have no rows or columns.
Block piece_of(const Plan& plan, int64_t piece);

/// Where element (row, column) of a stored matrix is.
template <class T>
T* at(const Tensor& t, int64_t row, int64_t column) {
  return t.as<T>() + row * t.row_stride + column;
}

}  // namespace nibble::cpu
