// SPDX-License-Identifier: Apache-2.0
// The inner part of products summed in f32, compiled once an instruction set: a tile of kTileRows
// rows by one or two vectors of columns held in registers (Goto and van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication", 2008), and the packing of operands for it. Operands are
// f32, or pairs of bf16 (bf16_pairs-inl.h). A result is the sum over k in ascending order, whatever
// tile it falls in: its bits depend on its row and column alone.
// Included inside Highway's foreach_target only.
#if defined(NIBBLE_KERNELS_GEMM_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NIBBLE_KERNELS_GEMM_INL_H
#undef NIBBLE_KERNELS_GEMM_INL_H
#else
#define NIBBLE_KERNELS_GEMM_INL_H
#endif

#include <algorithm>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {

// Accumulators fill the register file: 24 of 32 on AVX-512, 12 of 16 elsewhere.
constexpr int64_t kTileRows = HWY_TARGET == HWY_AVX3 ? 12 : 6;
constexpr int64_t kTileCols = 2 * kLanes;
// Tiles of fewer rows that there is code for.
constexpr int64_t kSomeTileRows = kTileRows * 2 / 3, kFewTileRows = kTileRows / 3;
// A tall tile is one vector wide: it widens less of the right operand for what it multiplies.
constexpr int64_t kTallTileRows = kTileRows * 4 / 3;

/// How the rows of the left operand lie: element (r,k) is a[r*lda + k] or a[k*lda + r].
enum class Order { kRowMajor, kDepthMajor };

/// How many of k an element of an operand stands for, one in every lane, and what is added up.
template <class Element>
struct Factor;
template <>
struct Factor<float> {
  static constexpr int64_t kDepth = 1;
  static HWY_INLINE Vec splat(float x) { return set(x); }
  static HWY_INLINE Vec multiply_add(Vec left, Vec right, Vec sum) {
    return hn::MulAdd(left, right, sum);
  }
};

/// An element of a right operand that is read where it is stored, and not from packed panels.
template <class T>
struct [[gnu::may_alias]] Stored {
  T value;
};

/// How an element of A on the left meets rows of B: how many of them, and as which vector. What
/// lies in rows far apart is asked for a tile ahead.
template <class A, class B>
struct Right {
  static constexpr int64_t kRows = 1;
  static HWY_INLINE Vec vector(const B* b, int64_t) { return load(b, Whole{}); }
  static HWY_INLINE void fetch(const B*, int64_t) {}
};
template <class T>
struct Right<float, Stored<T>> {
  static constexpr int64_t kRows = 1;
  static HWY_INLINE Vec vector(const Stored<T>* b, int64_t) { return load(&b->value, Whole{}); }
  static HWY_INLINE void fetch(const Stored<T>* next, int64_t) { __builtin_prefetch(next); }
};

/// emit(r, v, x) for every row r < kRows and vector v < kVecs of a (kRows, depth) b (depth,
/// kVecs*kLanes), depth in elements of a. Where a is f32, b may be bf16, widened on the way.
template <int kRows, int kVecs, Order kOrder, class A, class B, class Emit>
HWY_INLINE void tile_sums(int64_t depth, const A* HWY_RESTRICT a, int64_t lda,
                          const B* HWY_RESTRICT b, int64_t ldb, const Emit& emit) {
  Vec acc[kRows][kVecs];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) acc[r][v] = zero();
  // Every third row has a pointer: the two between are reached by the addressing modes.
  constexpr int kPointers = (kRows + 2) / 3;
  const A* third[kPointers];
#pragma GCC unroll 16
  for (int i = 0; i < kPointers; ++i) third[i] = a + 3 * i * lda;
  for (int64_t k = 0; k < depth; ++k) {
    Vec right[kVecs];
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) right[v] = Right<A, B>::vector(b + v * kLanes, ldb);
    Right<A, B>::fetch(b + kVecs * kLanes, ldb);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vec left =
          Factor<A>::splat(kOrder == Order::kDepthMajor ? a[r] : third[r / 3][r % 3 * lda + k]);
#pragma GCC unroll 2
      for (int v = 0; v < kVecs; ++v)
        acc[r][v] = Factor<A>::multiply_add(left, right[v], acc[r][v]);
    }
    b += Right<A, B>::kRows * ldb;
    if (kOrder == Order::kDepthMajor) a += lda;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) emit(r, v, acc[r][v]);
}

/// What a tile of a panel becomes: the product scaled, or what it was plus that.
enum class Sum : bool { kSet, kAdd };

template <int kRows, int kVecs, Order kOrder, class A, class B>
HWY_NOINLINE void tile_product(int64_t depth, const A* a, int64_t lda, const B* b, int64_t ldb,
                               float* c, int64_t ldc, Sum sum, float scale) {
  tile_sums<kRows, kVecs, kOrder>(depth, a, lda, b, ldb, [&](int r, int v, Vec x) {
    float* to = c + r * ldc + v * kLanes;
    store(sum == Sum::kAdd ? hn::MulAdd(set(scale), x, load(to, Whole{})) : hn::Mul(set(scale), x),
          to, Whole{});
  });
}

/// The same for rows <= kTileRows and cols <= kTileCols, or a tall tile of cols <= kLanes. Fewer
/// rows or columns are rounded up to what there is code for, so all of a tile of a, b and c must
/// exist.
template <Order kOrder, class A, class B>
HWY_INLINE void tile_product(int64_t rows, int64_t cols, int64_t depth, const A* a, int64_t lda,
                             const B* b, int64_t ldb, float* c, int64_t ldc, Sum sum,
                             float scale = 1.0f) {
  constexpr int kFull = kTileRows, kSome = kSomeTileRows, kFew = kFewTileRows;
  const bool narrow = cols <= kLanes;
  if (rows > kFull)
    tile_product<kTallTileRows, 1, kOrder>(depth, a, lda, b, ldb, c, ldc, sum, scale);
  else if (rows > kSome)
    narrow ? tile_product<kFull, 1, kOrder>(depth, a, lda, b, ldb, c, ldc, sum, scale)
           : tile_product<kFull, 2, kOrder>(depth, a, lda, b, ldb, c, ldc, sum, scale);
  else if (rows > kFew)
    narrow ? tile_product<kSome, 1, kOrder>(depth, a, lda, b, ldb, c, ldc, sum, scale)
           : tile_product<kSome, 2, kOrder>(depth, a, lda, b, ldb, c, ldc, sum, scale);
  else
    narrow ? tile_product<kFew, 1, kOrder>(depth, a, lda, b, ldb, c, ldc, sum, scale)
           : tile_product<kFew, 2, kOrder>(depth, a, lda, b, ldb, c, ldc, sum, scale);
}

/// How many of `rows` the next tile takes: 16 rows are faster as 8 + 8 than as 12 + 4.
HWY_INLINE int64_t next_rows(int64_t rows) {
  return rows > kTileRows && rows <= 2 * kSomeTileRows ? kSomeTileRows : std::min(rows, kTileRows);
}

/// to (rows, width), row stride `ldt` = from (rows, cols), widened; columns from cols on are 0.
template <class T>
HWY_INLINE void widen_rows(const T* from, int64_t ldf, int64_t rows, int64_t cols, float* to,
                           int64_t ldt, int64_t width) {
  for (int64_t r = 0; r < rows; ++r) {
    for_vectors(cols, [&](int64_t i, auto part) {
      store(load(from + r * ldf + i, part), to + r * ldt + i, part);
    });
    std::fill(to + r * ldt + cols, to + r * ldt + width, 0.0f);
  }
}

#if HWY_TARGET != HWY_SCALAR
using Quad = hn::CappedTag<uint32_t, 4>;

/// 16 bytes of every fourth row, as many as fill a vector of D.
template <class D, class T>
HWY_INLINE hn::VFromD<D> load_quads(D d, const T* from, int64_t ldf) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    const hn::Repartition<uint8_t, D> bytes;
    return hn::BitCast(d, hn::LoadU(bytes, reinterpret_cast<const uint8_t*>(from)));
  } else {
    const hn::Half<D> half;
    constexpr int64_t kRows = hn::MaxLanes(hn::Half<D>());
    return hn::Combine(d, load_quads(half, from + kRows * ldf, ldf), load_quads(half, from, ldf));
  }
}

/// emit(k, v) with the 32 bits at k of as many rows as D has lanes, for the k of all whole 16
/// bytes of a row; how many elements those are.
template <class D, class T, class Emit>
HWY_INLINE int64_t for_columns(D d, const T* from, int64_t ldf, int64_t depth, const Emit& emit) {
  constexpr int64_t kElements = 16 / sizeof(T);
  const hn::Repartition<uint64_t, D> d2;
  int64_t k = 0;
  for (; k + kElements <= depth; k += kElements) {
    hn::VFromD<D> q[4];
    for (int64_t i = 0; i < 4; ++i) q[i] = load_quads(d, from + i * ldf + k, ldf);
    const auto low01 = hn::BitCast(d2, hn::InterleaveLower(d, q[0], q[1]));
    const auto low23 = hn::BitCast(d2, hn::InterleaveLower(d, q[2], q[3]));
    const auto up01 = hn::BitCast(d2, hn::InterleaveUpper(d, q[0], q[1]));
    const auto up23 = hn::BitCast(d2, hn::InterleaveUpper(d, q[2], q[3]));
    emit(k, hn::BitCast(d, hn::InterleaveLower(d2, low01, low23)));
    emit(k + kElements / 4, hn::BitCast(d, hn::InterleaveUpper(d2, low01, low23)));
    emit(k + kElements / 2, hn::BitCast(d, hn::InterleaveLower(d2, up01, up23)));
    emit(k + kElements / 4 * 3, hn::BitCast(d, hn::InterleaveUpper(d2, up01, up23)));
  }
  return k;
}

/// As many rows of `from` as D has lanes at columns [0, depth), transposed; how many k were done.
template <class D>
HWY_INLINE int64_t transpose_some(D d, const float* from, int64_t ldf, int64_t depth, float* to,
                                  int64_t ldt) {
  return for_columns(d, from, ldf, depth, [&](int64_t k, auto bits) {
    hn::StoreU(bits, d, reinterpret_cast<uint32_t*>(to + k * ldt));
  });
}
/// Two bf16 travel as one 32-bit element and part at the end.
template <class D>
HWY_INLINE int64_t transpose_some(D d, const bf16* from, int64_t ldf, int64_t depth, float* to,
                                  int64_t ldt) {
  return for_columns(d, from, ldf, depth, [&](int64_t k, auto bits) {
    const auto row = reinterpret_cast<uint32_t*>(to + k * ldt);
    hn::StoreU(hn::ShiftLeft<16>(bits), d, row);
    hn::StoreU(hn::And(bits, hn::Set(d, 0xffff0000u)), d, row + ldt);
  });
}
#endif

/// to (depth, width), row stride `ldt` = the transpose of from (rows, depth), widened; columns from
/// `rows` on are 0.
template <class T>
HWY_INLINE void widen_transposed(const T* from, int64_t ldf, int64_t rows, int64_t depth, float* to,
                                 int64_t ldt, int64_t width) {
  int64_t r = 0;
#if HWY_TARGET != HWY_SCALAR
  const auto transpose = [&](auto d) {
    constexpr int64_t kRows = hn::MaxLanes(decltype(d)());
    for (; r + kRows <= rows; r += kRows) {
      int64_t k = transpose_some(d, from + r * ldf, ldf, depth, to + r, ldt);
      for (; k < depth; ++k)
        for (int64_t i = r; i < r + kRows; ++i) to[k * ldt + i] = to_float(from[i * ldf + k]);
    }
  };
  transpose(U32());
  transpose(Quad());
#endif
  for (; r < rows; ++r)
    for (int64_t k = 0; k < depth; ++k) to[k * ldt + r] = to_float(from[r * ldf + k]);
  if (rows < width)
    for (int64_t k = 0; k < depth; ++k) std::fill(to + k * ldt + rows, to + k * ldt + width, 0.0f);
}

/// How many elements of an operand stand for `depth` of what is summed over.
template <class Element>
constexpr int64_t elements(int64_t depth) {
  return ceil_div(depth, Factor<Element>::kDepth);
}

/// `count` rows of `depth` as a left operand, `ldt` elements apart.
template <class T>
void take_rows(const T* from, int64_t ldf, int64_t count, int64_t depth, float* to, int64_t ldt) {
  widen_rows(from, ldf, count, depth, to, ldt, ldt);
}

/// The transpose of `count` rows of `depth`, as panels of kTileCols columns for tile_product.
template <class T>
void pack_transposed(const T* from, int64_t ldf, int64_t count, int64_t depth, float* to) {
  for (int64_t j = 0; j < count; j += kTileCols, to += depth * kTileCols)
    widen_transposed(from + j * ldf, ldf, std::min(kTileCols, count - j), depth, to, kTileCols,
                     kTileCols);
}

/// `count` rows of `cols` as a right operand that is summed over rows, columns in whole tiles.
template <class T>
void pack_rows(const T* from, int64_t ldf, int64_t count, int64_t cols, float* to, int64_t ldt) {
  widen_rows(from, ldf, count, cols, to, ldt, ldt);
}

}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#endif  // NIBBLE_KERNELS_GEMM_INL_H
