// SPDX-License-Identifier: Apache-2.0
// Products in f32. The result is cut into a grid of parts, one a thread; a thread packs blocks of
// the right operand, widened, into its share of the scratch, reads the left one row by row,
// widening where needed, and rounds what it has made once. Threads share nothing, nothing is
// allocated.
#include <algorithm>

#include "base/checked.h"
#include "base/threads.h"
#include "kernels/args.h"
#include "kernels/matmul_plan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matmul_widened.cpp"
#include <hwy/foreach_target.h>

#include "kernels/gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

using cpu::Plan, cpu::Block, cpu::at;

/// The right operand of a block, as panels of kTileCols columns.
template <class T>
void pack_right(const Plan& p, const Block& b, float* to) {
  for (int64_t j = 0; j < b.cols; j += kTileCols, to += b.depth * kTileCols) {
    const int64_t width = std::min(kTileCols, b.cols - j);
    if (p.right_transposed)
      widen_transposed(at<const T>(p.right, b.n + j, b.k), p.right.row_stride, width, b.depth, to,
                       kTileCols, kTileCols);
    else
      widen_rows(at<const T>(p.right, b.k, b.n + j), p.right.row_stride, b.depth, width, to,
                 kTileCols, kTileCols);
  }
}

/// Rows on the left, ready for tile_product.
struct Left {
  const float* data;
  int64_t stride;
};

template <class T>
Left pack_left(const Plan& p, int64_t m, int64_t rows, int64_t k, int64_t depth, float* to) {
  if (p.left_depth_major) {
    const int64_t width = round_up(rows, kTileRows);
    widen_rows(at<const T>(p.left, k, m), p.left.row_stride, depth, rows, to, width, width);
    return {to, width};
  }
  const T* from = at<const T>(p.left, m, k);
  if constexpr (std::is_same_v<T, float>)
    if (rows % kFewTileRows == 0) return {from, p.left.row_stride};
  const int64_t stride = round_up(depth, cpu::kPad) + cpu::kPad;
  widen_rows(from, p.left.row_stride, rows, depth, to, stride, depth);
  for (int64_t r = rows; r < kTileRows; ++r) std::fill_n(to + r * stride, depth, 0.0f);
  return {to, stride};
}

/// out = alpha * x + beta * out, rounded once.
template <class T, class P>
HWY_INLINE void finish(Vec x, float alpha, float beta, T* out, P part) {
  Vec y = hn::Mul(set(alpha), x);
  if (beta != 0.0f) y = hn::MulAdd(set(beta), load(out, part), y);
  store(y, out, part);
}

template <class T>
void finish_tile(const Plan& p, const float* c, int64_t ldc, const Block& b, float beta) {
  if (p.out_turned) {
    for (int64_t j = 0; j < b.cols; ++j) {
      T* out = at<T>(p.out, b.n + j, b.m);
      for (int64_t r = 0; r < b.rows; ++r) {
        const float x = p.alpha * c[r * ldc + j];
        out[r] = from_float<T>(beta == 0.0f ? x : x + beta * to_float(out[r]));
      }
    }
    return;
  }
  for (int64_t r = 0; r < b.rows; ++r) {
    T* out = at<T>(p.out, b.m + r, b.n);
    for_vectors(b.cols, [&](int64_t i, auto part) {
      finish(load(c + r * ldc + i, part), p.alpha, beta, out + i, part);
    });
  }
}

/// A whole tile, straight from the registers to out.
template <Order kOrder, class B, class T>
HWY_NOINLINE void tile_to_out(const Plan& p, const Block& block, const float* a, int64_t lda,
                              const B* b, int64_t ldb, float beta) {
  T* out = at<T>(p.out, block.m, block.n);
  const int64_t stride = p.out.row_stride;
  const float alpha = p.alpha;
  tile_sums<kTileRows, 2, kOrder>(block.depth, a, lda, b, ldb, [&](int r, int v, Vec x) {
    finish(x, alpha, beta, out + r * stride + v * kLanes, Whole{});
  });
}

template <Order kOrder, class B>
void multiply_tile(const Plan& p, const Block& block, const float* a, int64_t lda, const B* b,
                   int64_t ldb, float* sums) {
  if (sums) {
    const Sum sum = block.k > 0 ? Sum::kAdd : Sum::kSet;
    return tile_product<kOrder>(block.rows, block.cols, block.depth, a, lda, b, ldb, sums,
                                p.block_n, sum);
  }
  const float beta = block.k > 0 ? 1.0f : p.beta;
  const bool whole = block.rows == kTileRows && block.cols == kTileCols && !p.out_turned;
  with_float(p.out.dtype, [&](auto element) {
    using T = decltype(element);
    if (whole) return tile_to_out<kOrder, B, T>(p, block, a, lda, b, ldb, beta);
    HWY_ALIGN float tile[kTallTileRows * kTileCols];
    tile_product<kOrder>(block.rows, block.cols, block.depth, a, lda, b, ldb, tile, kTileCols,
                         Sum::kSet);
    finish_tile<T>(p, tile, kTileCols, block, beta);
  });
}

/// All tiles of a block; `right` holds its packed panels, or the last narrow one alone.
template <Order kOrder>
void multiply_block(const Plan& p, const Block& b, float* right, float* left, float* sums) {
  const int64_t step = kOrder == Order::kDepthMajor ? cpu::kWideRows : kTileRows;
  const int64_t whole = b.cols / kTileCols * kTileCols;  // columns
  // All rows of a right operand that is not packed are in one tall tile, if they can be.
  const bool tall = kOrder == Order::kDepthMajor && !p.packs_right && b.rows > kTileRows &&
                    b.rows <= kTallTileRows;
  const int64_t tile_cols = tall ? kLanes : kTileCols;
  for (int64_t i0 = 0, some; i0 < b.rows; i0 += some) {
    some = kOrder == Order::kDepthMajor ? std::min(step, b.rows - i0) : next_rows(b.rows - i0);
    Left a{};
    with_float(p.left.dtype, [&](auto element) {
      using T = decltype(element);
      a = pack_left<T>(p, b.m + i0, some, b.k, b.depth, left);
    });
    for (int64_t i = i0, rows; i < i0 + some; i += rows) {
      rows = tall ? some : next_rows(i0 + some - i);
      for (int64_t j = 0; j < b.cols; j += tile_cols) {
        const Block tile{b.m + i, rows, b.n + j, std::min(tile_cols, b.cols - j), b.k, b.depth};
        float* to = sums ? sums + i * p.block_n + j : nullptr;
        const float* from = a.data + (i - i0);
        if (p.packs_right || j >= whole) {
          const float* panel = right + (p.packs_right ? j * b.depth : j - whole);
          multiply_tile<kOrder>(p, tile, from, a.stride, panel, kTileCols, to);
        } else {
          with_float(p.right.dtype, [&](auto element) {
            using T = decltype(element);
            multiply_tile<kOrder>(p, tile, from, a.stride, at<const T>(p.right, b.k, b.n + j),
                                  p.right.row_stride, to);
          });
        }
      }
    }
  }
}

void multiply_part(const Plan& p, int64_t part) {
  const Block all = cpu::part_of(p, part);
  float* const right = p.scratch + part * p.part_elements();
  float* const left = right + p.right_elements;
  float* const sums = p.sums_apart ? left + p.left_elements : nullptr;
  Block b;
  for (b.n = all.n; b.n < all.n + all.cols; b.n += b.cols) {
    b.cols = std::min(p.block_n, all.n + all.cols - b.n);
    for (b.m = all.m; b.m < all.m + all.rows; b.m += b.rows) {
      b.rows = std::min(p.block_m, all.m + all.rows - b.m);
      for (b.k = 0; b.k < p.k; b.k += b.depth) {
        b.depth = std::min(p.block_k, p.k - b.k);
        Block packed = b;
        if (!p.packs_right) {
          packed.n += b.cols / kTileCols * kTileCols;
          packed.cols = b.cols % kTileCols;
        }
        with_float(p.right.dtype,
                   [&](auto element) { pack_right<decltype(element)>(p, packed, right); });
        p.left_depth_major ? multiply_block<Order::kDepthMajor>(p, b, right, left, sums)
                           : multiply_block<Order::kRowMajor>(p, b, right, left, sums);
      }
      if (sums)
        with_float(p.out.dtype, [&](auto element) {
          finish_tile<decltype(element)>(p, sums, p.block_n, b, p.beta);
        });
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(multiply_part);
}

void cpu::matmul_widened(const Matmul& op) {
  const Plan plan = make_plan(op);
  // One pointer captured: std::function keeps that without allocating.
  parallel_for(plan.parts(), 1, [&plan](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) NIBBLE_SIMD(multiply_part)(plan, part);
  });
}

}  // namespace nibble
#endif  // HWY_ONCE
