// SPDX-License-Identifier: Apache-2.0
// What the attention loops share, compiled once an instruction set: packing of keys and values, and
// one step of the streaming softmax for a strip of query rows against a tile of keys.
// Included inside Highway's foreach_target only.
#if defined(NIBBLE_KERNELS_ATTENTION_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NIBBLE_KERNELS_ATTENTION_INL_H
#undef NIBBLE_KERNELS_ATTENTION_INL_H
#else
#define NIBBLE_KERNELS_ATTENTION_INL_H
#endif

#include <limits>

#include "kernels/attention_cpu.h"
#include "kernels/gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {

constexpr float kMasked = -std::numeric_limits<float>::infinity();

/// The transpose of `count` rows of `depth`, as panels of kTileCols columns for tile_product.
template <class T>
void pack_transposed(const T* from, int64_t ldf, int64_t count, int64_t depth, float* to) {
  for (int64_t j = 0; j < count; j += kTileCols, to += depth * kTileCols)
    widen_transposed(from + j * ldf, ldf, std::min(kTileCols, count - j), depth, to, kTileCols,
                     kTileCols);
}

/// c (rows, count) = a (rows, depth) times columns [begin, begin+count) of packed panels, begin in
/// whole panels. Rows and columns are written in whole tiles.
inline void multiply_panels(int64_t rows, int64_t begin, int64_t end, int64_t depth, const float* a,
                            int64_t lda, const float* panels, float* c, int64_t ldc) {
  for (int64_t j = begin; j < end; j += kTileCols)
    tile_product<Order::kRowMajor>(rows, std::min(kTileCols, end - j), depth, a, lda,
                                   panels + j * depth, kTileCols, c + j, ldc, Sum::kSet);
}

/// c (rows, cols) += a (rows, depth) b (depth, cols), rows and columns in whole tiles.
template <class B>
void add_product(int64_t rows, int64_t cols, int64_t depth, const float* a, int64_t lda, const B* b,
                 int64_t ldb, float* c, int64_t ldc) {
  for (int64_t j = 0; j < cols; j += kTileCols)
    tile_product<Order::kRowMajor>(rows, std::min(kTileCols, cols - j), depth, a, lda, b + j, ldb,
                                   c + j, ldc, Sum::kAdd);
}

/// The keys of a tile that one query row sees: [begin, end), which may be empty.
struct Visible {
  int64_t begin = 0, end = 0;
};
inline Visible visible_keys(const AttentionShape& shape, int64_t position, int64_t k0, int64_t nk) {
  return {std::clamp<int64_t>(cpu::first_key(shape, position) - k0, 0, nk),
          std::clamp<int64_t>(position + 1 - k0, 0, nk)};
}

/// Masks which of the scores [from, to) a query does not see, in whole vectors.
inline void mask_row(float* scores, int64_t from, int64_t to, Visible seen) {
  std::fill(scores + from, scores + std::max(from, seen.begin), kMasked);
  std::fill(scores + std::min(to, seen.end), scores + from + round_up(to - from, kLanes), kMasked);
}

/// Query rows and what they have gathered so far.
struct SoftmaxRows {
  float* max;  // greatest score
  float* sum;  // of exp(score - max)
  float* out;  // of exp(score - max) * value, unnormalised
  int64_t ldo;
  int64_t dim;  // columns of out
};

/// Takes the scores [from, to) of `count` rows, at most kTileRows, `ld` apart; replaces them by
/// exp(score - max) in whole vectors and brings what was gathered to the new maximum. In three
/// passes, because within a row each waits for the one before.
template <class Seen>
HWY_INLINE void softmax_rows(const SoftmaxRows& rows, int64_t count, float* scores, int64_t ld,
                             int64_t from, int64_t to, const Seen& seen_of) {
  const int64_t end = from + round_up(to - from, kLanes);
  float max[kTileRows];
  for (int64_t r = 0; r < count; ++r) {
    float* row = scores + r * ld;
    mask_row(row, from, to, seen_of(r));
    Vec most = load(row + from, Whole{});
    for (int64_t j = from + kLanes; j < end; j += kLanes)
      most = hn::Max(most, load(row + j, Whole{}));
    max[r] = hn::GetLane(hn::MaxOfLanes(F32(), most));
  }
  for (int64_t r = 0; r < count; ++r) {
    if (!(max[r] > rows.max[r])) continue;
    if (rows.max[r] != kMasked) {
      const Vec shrink = exp(set(rows.max[r] - max[r]));
      rows.sum[r] *= hn::GetLane(shrink);
      float* out = rows.out + r * rows.ldo;
      for_vectors(rows.dim, [&](int64_t i, auto part) {
        store(hn::Mul(load(out + i, part), shrink), out + i, part);
      });
    }
    rows.max[r] = max[r];
  }
  for (int64_t r = 0; r < count; ++r) {
    float* row = scores + r * ld;
    // A row that sees nothing yet has no maximum; any number makes its weights 0.
    const Vec shift = set(rows.max[r] == kMasked ? 0.0f : rows.max[r]);
    Vec sum = zero();
    for (int64_t j = from; j < end; j += kLanes) {
      const Vec p = exp(hn::Sub(load(row + j, Whole{}), shift));
      store(p, row + j, Whole{});
      sum = hn::Add(sum, p);
    }
    rows.sum[r] += hn::GetLane(hn::SumOfLanes(F32(), sum));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#endif  // NIBBLE_KERNELS_ATTENTION_INL_H
