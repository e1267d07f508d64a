// SPDX-License-Identifier: Apache-2.0
// Operands of bf16 for the tiles of gemm-inl.h: an element is a pair, of two adjoining columns or
// of two rows, and one step of a tile adds both of its products to a sum in f32, the second one
// first. That is AVX-512-BF16's vdpbf16ps, 32 multiply-adds an instruction, where f32 has 16. It is
// written as the instruction's text: code for AVX-512 is compiled once, and what it must not
// contain where the processor lacks them is these instructions alone. Emulated, by the same sums in
// f32, bits are the same but for subnormal numbers, which the instruction takes for 0. Included
// inside Highway's foreach_target only.
#if defined(NIBBLE_KERNELS_BF16_PAIRS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NIBBLE_KERNELS_BF16_PAIRS_INL_H
#undef NIBBLE_KERNELS_BF16_PAIRS_INL_H
#else
#define NIBBLE_KERNELS_BF16_PAIRS_INL_H
#endif

#include "kernels/gemm-inl.h"
#include "kernels/simd.h"

#if HWY_TARGET == HWY_AVX3

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {

/// The first in the low half. It may lie where floats did.
template <Bf16Dot kDot>
struct [[gnu::may_alias]] Bf16Pair {
  uint32_t bits;
};

template <Bf16Dot kDot>
struct Factor<Bf16Pair<kDot>> {
  static constexpr int64_t kDepth = 2;
  static HWY_INLINE Vec splat(Bf16Pair<kDot> x) {
    return hn::BitCast(F32(), hn::Set(U32(), x.bits));
  }
  static HWY_INLINE Vec multiply_add(Vec left, Vec right, Vec sum) {
    if constexpr (kDot == Bf16Dot::kNative) {
      asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(left.raw), "v"(right.raw));
      return sum;
    }
    return hn::MulAdd(first(left), first(right), hn::MulAdd(second(left), second(right), sum));
  }
  /// The bf16 nearest to each lane.
  static HWY_INLINE hn::Vec<Half> narrow(Vec v) {
    if constexpr (kDot == Bf16Dot::kNative) {
      hn::Vec<Half> to;
      asm("vcvtneps2bf16 %1, %0" : "=v"(to.raw) : "v"(v.raw));
      return to;
    }
    return HWY_NAMESPACE::narrow(v);
  }

 private:
  static Vec first(Vec pairs) {
    return hn::BitCast(F32(), hn::ShiftLeft<16>(hn::BitCast(U32(), pairs)));
  }
  static Vec second(Vec pairs) {
    return hn::And(pairs, hn::BitCast(F32(), hn::Set(U32(), 0xffff0000u)));
  }
};

template <Bf16Dot kDot>
HWY_INLINE Vec load(const Bf16Pair<kDot>* p, Whole) {
  return hn::BitCast(F32(), hn::LoadU(U32(), reinterpret_cast<const uint32_t*>(p)));
}

/// Pairs of a lane of each.
HWY_INLINE hn::Vec<U32> pair_up(hn::Vec<Half> first, hn::Vec<Half> second) {
  return hn::Or(hn::PromoteTo(U32(), first), hn::ShiftLeft<16>(hn::PromoteTo(U32(), second)));
}

HWY_INLINE hn::Vec<Half> load_bits(const bf16* p, Whole) {
  return hn::LoadU(Half(), reinterpret_cast<const uint16_t*>(p));
}
HWY_INLINE hn::Vec<Half> load_bits(const bf16* p, Part part) {
  uint16_t lanes[kLanes] = {};
  std::memcpy(lanes, p, part.count * sizeof(bf16));
  return hn::LoadU(Half(), lanes);
}

/// A pair is of two rows.
template <Bf16Dot kDot>
struct Right<Bf16Pair<kDot>, Stored<bf16>> {
  static constexpr int64_t kRows = 2;
  static HWY_INLINE Vec vector(const Stored<bf16>* b, int64_t ldb) {
    return hn::BitCast(F32(),
                       pair_up(load_bits(&b->value, Whole{}), load_bits(&b[ldb].value, Whole{})));
  }
  static HWY_INLINE void fetch(const Stored<bf16>* next, int64_t ldb) {
    __builtin_prefetch(next + kLanes);
    __builtin_prefetch(next + kLanes + ldb);
  }
};

/// to (rows, cols/2): pairs of columns, the last with 0 where cols is odd.
template <Bf16Dot kDot>
void pair_columns(const bf16* from, int64_t ldf, int64_t rows, int64_t cols, Bf16Pair<kDot>* to,
                  int64_t ldt) {
  for (int64_t r = 0; r < rows; ++r) {
    if (cols % 2 != 0) to[r * ldt + cols / 2].bits = 0;
    std::memcpy(to + r * ldt, from + r * ldf, static_cast<size_t>(cols) * sizeof(bf16));
  }
}

/// to (rows/2, width): pairs of rows, the last with 0 where rows is odd; columns from cols on are
/// 0.
template <Bf16Dot kDot>
void pair_rows(const bf16* from, int64_t ldf, int64_t rows, int64_t cols, Bf16Pair<kDot>* to,
               int64_t ldt, int64_t width) {
  for (int64_t r = 0; r < rows; r += 2, to += ldt) {
    const bf16* first = from + r * ldf;
    const auto words = reinterpret_cast<uint32_t*>(to);
    std::fill(words + round_up(cols, kLanes), words + width, 0u);
    for_vectors(cols, [&](int64_t i, auto part) {
      const auto second = r + 1 < rows ? load_bits(first + ldf + i, part) : hn::Zero(Half());
      hn::StoreU(pair_up(load_bits(first + i, part), second), U32(), words + i);
    });
  }
}

/// to (cols/2, width): the transpose of pairs of columns; columns from `rows` on are 0.
template <Bf16Dot kDot>
void pair_columns_transposed(const bf16* from, int64_t ldf, int64_t rows, int64_t cols,
                             Bf16Pair<kDot>* to, int64_t ldt, int64_t width) {
  const auto words = reinterpret_cast<uint32_t*>(to);
  const auto pair_at = [&](int64_t r, int64_t k) {
    const uint32_t second = 2 * k + 1 < cols ? from[r * ldf + 2 * k + 1].bits : 0;
    return from[r * ldf + 2 * k].bits | second << 16;
  };
  const int64_t depth = ceil_div<int64_t>(cols, 2);
  int64_t r = 0;
  const auto transpose = [&](auto d) {
    constexpr int64_t kRows = hn::MaxLanes(decltype(d)());
    for (; r + kRows <= rows; r += kRows) {
      int64_t k = for_columns(d, from + r * ldf, ldf, cols, [&](int64_t column, auto pairs) {
        hn::StoreU(pairs, d, words + column / 2 * ldt + r);
      });
      for (k /= 2; k < depth; ++k)
        for (int64_t i = r; i < r + kRows; ++i) words[k * ldt + i] = pair_at(i, k);
    }
  };
  transpose(U32());
  transpose(Quad());
  for (; r < rows; ++r)
    for (int64_t k = 0; k < depth; ++k) words[k * ldt + r] = pair_at(r, k);
  for (int64_t k = 0; k < depth; ++k)
    std::fill(words + k * ldt + rows, words + k * ldt + width, 0u);
}

// As operands, like floats (gemm-inl.h).
template <Bf16Dot kDot>
void take_rows(const bf16* from, int64_t ldf, int64_t count, int64_t depth, Bf16Pair<kDot>* to,
               int64_t ldt) {
  pair_columns(from, ldf, count, depth, to, ldt);
}
template <Bf16Dot kDot>
void pack_transposed(const bf16* from, int64_t ldf, int64_t count, int64_t depth,
                     Bf16Pair<kDot>* to) {
  for (int64_t j = 0; j < count; j += kTileCols, to += ceil_div<int64_t>(depth, 2) * kTileCols)
    pair_columns_transposed(from + j * ldf, ldf, std::min(kTileCols, count - j), depth, to,
                            kTileCols, kTileCols);
}
template <Bf16Dot kDot>
void pack_rows(const bf16* from, int64_t ldf, int64_t count, int64_t cols, Bf16Pair<kDot>* to,
               int64_t ldt) {
  pair_rows(from, ldf, count, cols, to, ldt, ldt);
}

}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#endif  // HWY_TARGET == HWY_AVX3

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {

/// call(Element{}) with what operands hold: pairs that are multiplied as `dot` says, else floats.
template <class Call>
HWY_INLINE void with_element([[maybe_unused]] Bf16Dot dot, const Call& call) {
#if HWY_TARGET == HWY_AVX3
  if (dot == Bf16Dot::kNative) return call(Bf16Pair<Bf16Dot::kNative>{});
  if (dot == Bf16Dot::kEmulated) return call(Bf16Pair<Bf16Dot::kEmulated>{});
#endif
  call(0.0f);
}

/// call(T{}) with T the type of what is stored, where operands of Element hold it.
template <class Element, class Call>
HWY_INLINE void with_stored(Dtype dtype, const Call& call) {
  if constexpr (std::is_same_v<Element, float>)
    with_float(dtype, call);
  else
    call(bf16{});
}

}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#endif  // NIBBLE_KERNELS_BF16_PAIRS_INL_H
