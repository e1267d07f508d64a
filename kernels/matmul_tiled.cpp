// SPDX-License-Identifier: Apache-2.0
// Products summed in f32. The result is cut into a grid of parts, one a thread, and these into
// pieces; a thread packs blocks of the right operand into its share of the scratch, widened to
// floats or as pairs of bf16, reads the left one row by row, packed likewise where needed, and
// rounds what it has made once. Threads share nothing but what is left to do, nothing is allocated.
#include <algorithm>

#include "base/checked.h"
#include "base/threads.h"
#include "kernels/args.h"
#include "kernels/matmul_plan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matmul_tiled.cpp"
#include <hwy/foreach_target.h>

#include "kernels/bf16_pairs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

using cpu::Plan, cpu::Block, cpu::at;

/// The right operand of a block, as panels of kTileCols columns.
template <class Element>
void pack_right(const Plan& p, const Block& b, Element* to) {
  with_stored<Element>(p.right.dtype, [&](auto stored) {
    using T = decltype(stored);
    const int64_t stride = p.right.row_stride;
    if (p.right_transposed)
      return pack_transposed(at<const T>(p.right, b.n, b.k), stride, b.cols, b.depth, to);
    for (int64_t j = 0; j < b.cols; j += kTileCols)
      pack_rows(at<const T>(p.right, b.k, b.n + j), stride, b.depth,
                std::min(kTileCols, b.cols - j), to + j * elements<Element>(b.depth), kTileCols);
  });
}

/// Rows on the left, ready for tile_product.
template <class Element>
struct Left {
  const Element* data;
  int64_t stride;
};

// Rows that lie a multiple of this apart share so few sets of the first cache that a tile of them
// is better copied.
constexpr size_t kAliasedBytes = 4096;

/// Whether rows that lie `ld` apart can be read as they are.
template <class Element, class T>
bool lies_ready(const T* from, int64_t ld, int64_t depth) {
  constexpr int64_t kDepth = Factor<Element>::kDepth;
  return sizeof(T) * kDepth == sizeof(Element) && depth % kDepth == 0 && ld % kDepth == 0 &&
         static_cast<size_t>(ld) * sizeof(T) % kAliasedBytes != 0 &&
         reinterpret_cast<uintptr_t>(from) % alignof(Element) == 0;
}

template <class Element>
Left<Element> pack_left(const Plan& p, int64_t m, int64_t rows, int64_t k, int64_t depth,
                        Element* to) {
  const int64_t ld = p.left.row_stride;
  Left<Element> left{};
  with_stored<Element>(p.left.dtype, [&](auto stored) {
    using T = decltype(stored);
    if (p.left_depth_major) {
      left = {to, round_up(rows, std::max(kLanes, kTileRows))};  // no less than tiles take
      return pack_rows(at<const T>(p.left, k, m), ld, depth, rows, to, left.stride);
    }
    const T* from = at<const T>(p.left, m, k);
    if (rows % kFewTileRows == 0 && lies_ready<Element>(from, ld, depth)) {
      left = {reinterpret_cast<const Element*>(from), ld / Factor<Element>::kDepth};
      return;
    }
    const int64_t steps = elements<Element>(depth);
    left = {to, round_up(steps, cpu::kPad) + cpu::kPad};
    take_rows(from, ld, rows, depth, to, left.stride);
    for (int64_t r = rows; r < kTileRows; ++r) std::fill_n(to + r * left.stride, steps, Element{});
  });
  return left;
}

/// out = alpha * x + beta * out, rounded once, as operands of Element are: in thin products that
/// takes as long as all else.
template <class Element, class T, class P>
HWY_INLINE void finish(Vec x, float alpha, float beta, T* out, P part) {
  Vec y = hn::Mul(set(alpha), x);
  if (beta != 0.0f) y = hn::MulAdd(set(beta), load(out, part), y);
  if constexpr (std::is_same_v<T, bf16> && !std::is_same_v<Element, float> &&
                std::is_same_v<P, Whole>)
    hn::StoreU(Factor<Element>::narrow(y), Half(), reinterpret_cast<uint16_t*>(out));
  else
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
      finish<float>(load(c + r * ldc + i, part), p.alpha, beta, out + i, part);
    });
  }
}

/// A whole tile, straight from the registers to out.
template <Order kOrder, class T, class A, class B>
HWY_NOINLINE void tile_to_out(const Plan& p, const Block& block, const A* a, int64_t lda,
                              const B* b, int64_t ldb, float beta) {
  T* out = at<T>(p.out, block.m, block.n);
  const int64_t stride = p.out.row_stride;
  const float alpha = p.alpha;
  tile_sums<kTileRows, 2, kOrder>(
      elements<A>(block.depth), a, lda, b, ldb, [&](int r, int v, Vec x) {
        finish<A>(x, alpha, beta, out + r * stride + v * kLanes, Whole{});
      });
}

/// Asks for the lines of a whole tile of out, to be there when it is done.
template <class T>
HWY_INLINE void fetch_out(const Plan& p, const Block& block) {
  constexpr int64_t kLine = 64 / sizeof(T);
  const T* out = at<const T>(p.out, block.m, block.n);
  for (int64_t r = 0; r < kTileRows; ++r)
    for (int64_t i = 0; i < kTileCols; i += kLine)
      __builtin_prefetch(out + r * p.out.row_stride + i, 1);
}

template <Order kOrder, class A, class B>
void multiply_tile(const Plan& p, const Block& block, const A* a, int64_t lda, const B* b,
                   int64_t ldb, float* sums) {
  const int64_t steps = elements<A>(block.depth);
  if (sums) {
    const Sum sum = block.k > 0 ? Sum::kAdd : Sum::kSet;
    return tile_product<kOrder>(block.rows, block.cols, steps, a, lda, b, ldb, sums, p.block_n,
                                sum);
  }
  const float beta = block.k > 0 ? 1.0f : p.beta;
  const bool whole = block.rows == kTileRows && block.cols == kTileCols && !p.out_turned;
  with_float(p.out.dtype, [&](auto element) {
    using T = decltype(element);
    if (whole) {
      fetch_out<T>(p, block);
      return tile_to_out<kOrder, T>(p, block, a, lda, b, ldb, beta);
    }
    HWY_ALIGN float tile[kTallTileRows * kTileCols];
    tile_product<kOrder>(block.rows, block.cols, steps, a, lda, b, ldb, tile, kTileCols, Sum::kSet);
    finish_tile<T>(p, tile, kTileCols, block, beta);
  });
}

/// All tiles of a block; `right` holds its packed panels, or the last narrow one alone.
template <Order kOrder, class Element>
void multiply_block(const Plan& p, const Block& b, Element* right, Element* left, float* sums) {
  const int64_t step = kOrder == Order::kDepthMajor ? cpu::kWideRows : kTileRows;
  const int64_t whole = b.cols / kTileCols * kTileCols;  // columns
  // All rows of a right operand that is not packed are in one tall tile, if they can be.
  const bool tall = kOrder == Order::kDepthMajor && !p.packs_right && b.rows > kTileRows &&
                    b.rows <= kTallTileRows;
  const int64_t tile_cols = tall ? kLanes : kTileCols;
  for (int64_t i0 = 0, some; i0 < b.rows; i0 += some) {
    some = kOrder == Order::kDepthMajor ? std::min(step, b.rows - i0) : next_rows(b.rows - i0);
    const Left<Element> a = pack_left(p, b.m + i0, some, b.k, b.depth, left);
    for (int64_t i = i0, rows; i < i0 + some; i += rows) {
      rows = tall ? some : next_rows(i0 + some - i);
      for (int64_t j = 0; j < b.cols; j += tile_cols) {
        const Block tile{b.m + i, rows, b.n + j, std::min(tile_cols, b.cols - j), b.k, b.depth};
        float* to = sums ? sums + i * p.block_n + j : nullptr;
        const Element* from = a.data + (i - i0);
        if (p.packs_right || j >= whole) {
          const Element* panel =
              right + (p.packs_right ? j * elements<Element>(b.depth) : j - whole);
          multiply_tile<kOrder>(p, tile, from, a.stride, panel, kTileCols, to);
        } else {
          with_stored<Element>(p.right.dtype, [&](auto element) {
            using T = decltype(element);
            const T* stored = at<const T>(p.right, b.k, b.n + j);
            multiply_tile<kOrder>(p, tile, from, a.stride,
                                  reinterpret_cast<const Stored<T>*>(stored), p.right.row_stride,
                                  to);
          });
        }
      }
    }
  }
}

/// Pieces of the product, with packed operands of Element, which is as large as a float.
template <class Element>
void multiply_pieces_of(const Plan& p, Pieces& pieces) {
  static_assert(sizeof(Element) == sizeof(float));
  float* const scratch = p.scratch + pieces.thread() * p.part_elements();
  const auto right = reinterpret_cast<Element*>(scratch);
  Element* const left = right + p.right_elements;
  float* const sums = p.sums_apart ? scratch + p.right_elements + p.left_elements : nullptr;
  int64_t packed_n = -1;  // the columns whose only block of k is packed
  for (Pieces::Range range; pieces.take(range);) {
    Block b = cpu::piece_of(p, range.begin);
    if (b.rows <= 0 || b.cols <= 0) continue;
    for (b.k = 0; b.k < p.k; b.k += b.depth) {
      b.depth = std::min(p.block_k, p.k - b.k);
      if (b.n != packed_n) {
        Block packed = b;
        if (!p.packs_right) {
          packed.n += b.cols / kTileCols * kTileCols;
          packed.cols = b.cols % kTileCols;
        }
        pack_right(p, packed, right);
        if (b.depth == p.k) packed_n = b.n;
      }
      p.left_depth_major ? multiply_block<Order::kDepthMajor>(p, b, right, left, sums)
                         : multiply_block<Order::kRowMajor>(p, b, right, left, sums);
    }
    if (sums)
      with_float(p.out.dtype, [&](auto element) {
        finish_tile<decltype(element)>(p, sums, p.block_n, b, p.beta);
      });
  }
}

void multiply_pieces(const Plan& p, Pieces& pieces) {
  with_element(p.dot, [&](auto element) { multiply_pieces_of<decltype(element)>(p, pieces); });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(multiply_pieces);
}

void cpu::matmul_tiled(const Matmul& op) {
  const Plan plan = make_plan(op);
  const auto run = NIBBLE_SIMD(multiply_pieces);
  const auto on_thread = [&](Pieces& pieces) { run(plan, pieces); };
  parallel_pieces(plan.pieces(), 1, on_thread, plan.parts());
}

}  // namespace nibble
#endif  // HWY_ONCE
