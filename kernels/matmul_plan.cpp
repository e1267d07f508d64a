// SPDX-License-Identifier: Apache-2.0
#include "kernels/matmul_plan.h"

#include <algorithm>

#include "base/checked.h"
#include "base/threads.h"

namespace nibble::cpu {
namespace {

// In steps of k, as all depths here.
constexpr int64_t kMaxDepth = 768;           // of a block: twelve rows take 36 KiB
constexpr int64_t kMaxNarrowDepth = 192;     // where a row and a panel then stay in 48 KiB
constexpr int64_t kMaxUnpackedDepth = 128;   // where rows of the right operand lie pages apart
constexpr int64_t kBlockElements = 1 << 18;  // of a packed block
constexpr int64_t kBlockRows = 2048;         // where blocks of k are summed in scratch
constexpr int64_t kMinPart = 1 << 18;        // multiply-adds that pay for waking a thread
constexpr int64_t kFewRows = 64;             // of out, for which the product is turned round
constexpr int64_t kUnpackedRows = 24;        // that do not pay for packing the right operand

/// The first of `n` things that part `i` of `parts` has, in multiples of `unit`.
int64_t first_of_part(int64_t n, int64_t unit, int64_t i, int64_t parts) {
  return std::min(n, ceil_div(n, unit) * i / parts * unit);
}
int64_t largest_part(int64_t n, int64_t unit, int64_t parts) {
  return std::min(n, ceil_div(ceil_div(n, unit), parts) * unit);
}

/// How pairs of both operands are multiplied, where both hold such.
Bf16Dot dot_of(const Matmul& op) {
  return op.a.dtype == Dtype::kBf16 && op.b.dtype == Dtype::kBf16 ? bf16_dot() : Bf16Dot::kNone;
}

/// Of k.
int64_t steps_of(Bf16Dot dot, int64_t depth) {
  return dot == Bf16Dot::kNone ? depth : ceil_div<int64_t>(depth, 2);
}

/// The grid that makes the costliest part cheapest.
void choose_grid(Plan& p, int64_t most_cols) {
  const double work =
      static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  const auto team =
      static_cast<int64_t>(std::clamp(work / kMinPart, 1.0, static_cast<double>(threads())));
  // Relative cost of a multiply-add, of packing an element and of widening one, per unit of k.
  constexpr double kMultiply = 1.0, kPack = 10.0, kWiden = 4.0;
  double best = 0;
  for (int64_t rows = 1; rows <= team; ++rows) {
    const int64_t cols = team / rows;
    const int64_t m = largest_part(p.m, kMaxTileRows, rows);
    const int64_t n = largest_part(p.n, kMaxTileCols, cols);
    const int64_t again = p.sums_apart ? ceil_div(m, kBlockRows) : 1;
    const double cost = static_cast<double>(m) * static_cast<double>(n) * kMultiply +
                        static_cast<double>(n * again) * kPack +
                        static_cast<double>(m * ceil_div(n, most_cols)) * kWiden;
    if (best > 0 && cost >= best) continue;
    best = cost;
    p.part_rows = rows;
    p.part_cols = cols;
  }
}

}  // namespace

Plan make_plan(const Matmul& op) {
  const auto [m, n, k] = matmul_size(op);
  const bool a_transposed = op.a_transpose == Transpose::kYes;
  const bool b_transposed = op.b_transpose == Transpose::kYes;
  Plan p{.out = op.out, .left = op.a, .right = op.b, .alpha = op.alpha, .beta = op.beta, .k = k};
  if (op.scratch) p.scratch = op.scratch.as<float>();
  p.dot = dot_of(op);
  const bool pairs = p.dot != Bf16Dot::kNone;
  const int64_t steps = steps_of(p.dot, k);
  // Packing a transposed right operand costs as much as a few dozen rows of products. The
  // transposed product has it on the left, where it is read as it lies. And a transposed left
  // operand is better on the right where few columns are wanted: it is not packed there.
  p.out_turned = (b_transposed && m <= kFewRows && m < n) ||
                 (a_transposed && !b_transposed && n <= kUnpackedRows && n < m);
  p.m = p.out_turned ? n : m;
  p.n = p.out_turned ? m : n;
  if (p.out_turned) std::swap(p.left, p.right);
  p.left_depth_major = p.out_turned ? !b_transposed : a_transposed;
  p.right_transposed = p.out_turned ? !a_transposed : b_transposed;

  // As it lies, where that pays.
  const bool reads_right = !p.right_transposed && (!pairs || k % 2 == 0);
  const int64_t max_depth = reads_right && p.m <= kUnpackedRows ? kMaxUnpackedDepth
                            : p.n <= kMaxTileCols               ? kMaxNarrowDepth
                                                                : kMaxDepth;
  const int64_t depths = ceil_div(steps, max_depth);
  const int64_t block_steps = depths == 1 ? steps : round_up<int64_t>(ceil_div(steps, depths), 16);
  p.block_k = depths == 1 ? k : pairs ? 2 * block_steps : block_steps;
  p.sums_apart = depths > 1 && (op.out.dtype != Dtype::kF32 || p.out_turned);
  // Blocks of many rows that are summed in scratch are no wider than the deepest: sums take room.
  const int64_t steps_at_once = p.sums_apart && max_depth == kMaxDepth ? kMaxDepth : block_steps;
  const int64_t most_cols =
      std::max(kMaxTileCols, kBlockElements / steps_at_once / kMaxTileCols * kMaxTileCols);
  choose_grid(p, most_cols);
  const int64_t part_m = largest_part(p.m, kMaxTileRows, p.part_rows);
  const int64_t part_n = largest_part(p.n, kMaxTileCols, p.part_cols);
  p.packs_right = !reads_right || part_m > kUnpackedRows;
  p.block_n = round_up(ceil_div(part_n, ceil_div(part_n, most_cols)), kMaxTileCols);
  // One packed block of the right operand serves all rows of a part where it is as deep as that.
  p.block_m = depths == 1    ? std::min(part_m, kWideRows)
              : p.sums_apart ? std::min(part_m, kBlockRows)
                             : part_m;
  p.row_blocks = ceil_div(part_m, p.block_m);
  p.column_blocks = ceil_div(part_n, p.block_n);
  p.right_elements = (p.packs_right ? p.block_n : kMaxTileCols) * block_steps;
  p.left_elements = p.left_depth_major ? kWideRows * block_steps
                                       : kMaxTileRows * (round_up(block_steps, kPad) + kPad);
  p.sum_elements = p.sums_apart ? round_up(p.block_m, kMaxTileRows) * p.block_n : 0;
  return p;
}

Block piece_of(const Plan& p, int64_t piece) {
  const int64_t blocks = p.row_blocks * p.column_blocks, part = piece / blocks;
  const int64_t i = part / p.part_cols, j = part % p.part_cols;
  const int64_t row = piece % p.row_blocks, column = piece % blocks / p.row_blocks;
  Block b{.m = first_of_part(p.m, kMaxTileRows, i, p.part_rows) + row * p.block_m,
          .n = first_of_part(p.n, kMaxTileCols, j, p.part_cols) + column * p.block_n,
          .depth = p.k};
  b.rows = std::min(p.block_m, first_of_part(p.m, kMaxTileRows, i + 1, p.part_rows) - b.m);
  b.cols = std::min(p.block_n, first_of_part(p.n, kMaxTileCols, j + 1, p.part_cols) - b.n);
  return b;
}

int64_t tiled_scratch_elements(const Matmul& op) {
  const Plan plan = make_plan(op);
  return plan.parts() * plan.part_elements();
}

// A smaller product may be cut otherwise (turned round, in shallower blocks, not packed) and then
// need more than a larger one, so each term is bounded over every way to cut it. A block is at most
// as deep as the whole and as kMaxDepth, or above half of the least maximum where it is cut at
// all.
int64_t tiled_scratch_bound(const Matmul& op) {
  const auto [m, n, k] = matmul_size(op);
  const int64_t steps = steps_of(dot_of(op), k);
  const int64_t depth = std::min(round_up(steps, kPad), kMaxDepth);
  const int64_t side = round_up(std::max(m, n), kMaxTileCols);
  const int64_t left = std::max(kWideRows * depth, kMaxTileRows * (depth + kPad));
  const int64_t right = std::min(side * depth, std::max(kBlockElements, kMaxTileCols * depth));
  int64_t sums = 0;
  const auto sum = [&](int64_t least, int64_t rows, int64_t cols) {
    if (steps > least)
      sums = std::max(
          sums, std::min(round_up(std::max(m, n), kMaxTileRows), rows) * std::min(side, cols));
  };
  sum(kMaxUnpackedDepth, kUnpackedRows, 2 * kBlockElements / kMaxUnpackedDepth);
  sum(kMaxNarrowDepth, kBlockRows, kMaxTileCols);
  sum(kMaxDepth, kBlockRows, kBlockElements / kMaxDepth);
  const double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const auto parts = static_cast<int64_t>(
      std::clamp(work / static_cast<double>(kMinPart), 1.0, static_cast<double>(threads())));
  return parts * (left + right + sums);
}

}  // namespace nibble::cpu
