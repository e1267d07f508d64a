// SPDX-License-Identifier: Apache-2.0
// What the attention loops share, compiled once an instruction set: packing of operands, and one
// step of the streaming softmax for a strip of query rows against a tile of keys. Products are of
// f32, or of bf16 where the processor multiplies that and tensors are bf16: then queries, keys and
// values go in as they are, and weights and slopes rounded to bf16, as on CUDA.
// Included inside Highway's foreach_target only.
#if defined(NIBBLE_KERNELS_ATTENTION_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NIBBLE_KERNELS_ATTENTION_INL_H
#undef NIBBLE_KERNELS_ATTENTION_INL_H
#else
#define NIBBLE_KERNELS_ATTENTION_INL_H
#endif

#include <limits>

#include "kernels/attention_cpu.h"
#include "kernels/bf16_pairs-inl.h"
#include "kernels/gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {

constexpr float kMasked = -std::numeric_limits<float>::infinity();

/// Vector `i` of a row of a left operand that begins at `row`, which may hold the floats that
/// vectors from i on came from.
template <class Element>
HWY_INLINE void store_left(Vec v, float* row, int64_t i) {
  if constexpr (std::is_same_v<Element, float>)
    store(v, row + i, Whole{});
  else
    hn::StoreU(Factor<Element>::narrow(v), Half(), reinterpret_cast<uint16_t*>(row) + i);
}

/// A vector of each of the rows that an element stands for, as one of a left operand that lies
/// depth-major.
template <class Element>
HWY_INLINE void store_turned(const Vec (&rows)[Factor<Element>::kDepth], Element* to) {
  if constexpr (std::is_same_v<Element, float>)
    store(rows[0], to, Whole{});
  else
    hn::StoreU(pair_up(Factor<Element>::narrow(rows[0]), Factor<Element>::narrow(rows[1])), U32(),
               reinterpret_cast<uint32_t*>(to));
}

/// call(T{}, Element{}) with T the type of tensors and Element that of operands.
template <class Call>
HWY_INLINE void with_operands(Dtype dtype, const Call& call) {
  with_element(dtype == Dtype::kBf16 ? bf16_dot() : Bf16Dot::kNone, [&](auto element) {
    with_stored<decltype(element)>(dtype, [&](auto stored) { call(stored, element); });
  });
}

/// c (rows, count) = scale * a (rows, depth) times columns [begin, begin+count) of packed panels,
/// begin in whole panels, depth in elements. Rows and columns are written in whole tiles.
template <class Element>
void multiply_panels(int64_t rows, int64_t begin, int64_t end, int64_t depth, const Element* a,
                     int64_t lda, const Element* panels, float* c, int64_t ldc, float scale) {
  for (int64_t j = begin; j < end; j += kTileCols)
    tile_product<Order::kRowMajor>(rows, std::min(kTileCols, end - j), depth, a, lda,
                                   panels + j * depth, kTileCols, c + j, ldc, Sum::kSet, scale);
}

/// c (rows, cols) += scale * a (rows, depth) b (depth, cols), depth in elements of a; rows and
/// columns in whole tiles.
template <class Element, class B>
void add_product(int64_t rows, int64_t cols, int64_t depth, const Element* a, int64_t lda,
                 const B* b, int64_t ldb, float* c, int64_t ldc, float scale) {
  for (int64_t j = 0; j < cols; j += kTileCols)
    tile_product<Order::kRowMajor>(rows, std::min(kTileCols, cols - j), depth, a, lda, b + j, ldb,
                                   c + j, ldc, Sum::kAdd, scale);
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
/// exp(score - max) in whole vectors, a left operand that begins at `from`, and brings what was
/// gathered to the new maximum. In three passes, because within a row each waits for the one
/// before.
template <class Element, class Seen>
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
      store_left<Element>(p, row + from, j - from);
      sum = hn::Add(sum, p);
    }
    rows.sum[r] += hn::GetLane(hn::SumOfLanes(F32(), sum));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#endif  // NIBBLE_KERNELS_ATTENTION_INL_H
