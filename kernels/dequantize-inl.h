// SPDX-License-Identifier: Apache-2.0
// What the loops over quantised matrices share, compiled once an instruction set: a 16-entry table
// in registers, the scale of a block, and runs of elements widened to floats. Included inside
// Highway's foreach_target only, hence no include guard of the common kind.
#if defined(NIBBLE_KERNELS_DEQUANTIZE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NIBBLE_KERNELS_DEQUANTIZE_INL_H
#undef NIBBLE_KERNELS_DEQUANTIZE_INL_H
#else
#define NIBBLE_KERNELS_DEQUANTIZE_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "base/float16.h"
#include "kernels/dequantize.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// absmax of block b. The product and the sum are rounded apart, as bitsandbytes rounds them.
HWY_INLINE float block_scale(const QuantizedMatrix& m, int64_t b) {
  if (m.absmax != nullptr) return m.absmax[b];
  return m.nested_map[m.absmax_codes[b]] * m.nested_absmax[b / m.nested_block] + m.nested_offset;
}

HWY_INLINE uint8_t nibble_at(const uint8_t* codes, int64_t element) {
  const uint8_t byte = codes[element >> 1];
  return element & 1 ? byte & 15 : byte >> 4;
}

using Floats = hn::ScalableTag<float>;
template <class D>
using BitsOf = hn::RebindToUnsigned<D>;

/// Floats rounded to bf16 (nearest even), still in float form. NaN is not looked after.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V round_to_bf16(D d, V v) {
  const BitsOf<D> du;
  const auto u = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(u), hn::Set(du, 1u));
  const auto rounded = hn::Add(u, hn::Add(odd, hn::Set(du, 0x7fffu)));
  return hn::BitCast(d, hn::And(rounded, hn::Set(du, 0xffff0000u)));
}

/// Sixteen floats to look codes up in: one register with AVX-512, two with AVX2, memory below that.
template <class D>
class CodeTable {
 public:
  using V = hn::Vec<D>;
  using VU = hn::Vec<BitsOf<D>>;
  static constexpr size_t kLanes = HWY_LANES(float);
  static_assert(kLanes <= 16);

  HWY_INLINE explicit CodeTable(const float* values) {
    for (size_t i = 0; i < kParts; ++i) part_[i] = hn::LoadU(D(), values + i * kLanes);
    spill();
  }
  /// scale * table, rounded to bf16 where that is what will be stored.
  template <bool kBf16>
  HWY_INLINE CodeTable scaled(float scale) const {
    CodeTable out;
    for (size_t i = 0; i < kParts; ++i) {
      out.part_[i] = hn::Mul(part_[i], hn::Set(D(), scale));
      if constexpr (kBf16) out.part_[i] = round_to_bf16(D(), out.part_[i]);
    }
    out.spill();
    return out;
  }
  /// The entries for the lowest four bits of every lane.
  HWY_INLINE V operator()(VU codes) const {
    const D d;
    const BitsOf<D> du;
    // Registers look at no more bits than they have entries; a debug build of Highway insists.
    const auto index = [&](uint32_t bits) {
      if constexpr (kLanes < 8 || HWY_IS_DEBUG_BUILD) return hn::And(codes, hn::Set(du, bits));
      return codes;
    };
    if constexpr (kLanes == 16) {
      return hn::TableLookupLanes(part_[0], hn::IndicesFromVec(d, index(15)));
    } else if constexpr (kLanes == 8) {
      const hn::RebindToSigned<D> di;
      const auto low = hn::IndicesFromVec(d, index(7));
      const auto upper = hn::BroadcastSignBit(hn::BitCast(di, hn::ShiftLeft<28>(codes)));
      return hn::IfThenElse(hn::MaskFromVec(hn::BitCast(d, upper)),
                            hn::TableLookupLanes(part_[1], low),
                            hn::TableLookupLanes(part_[0], low));
    } else {
      return hn::GatherIndex(d, memory_, hn::BitCast(hn::RebindToSigned<D>(), index(15)));
    }
  }

 private:
  static constexpr size_t kParts = 16 / kLanes;
  CodeTable() = default;
  HWY_INLINE void spill() {
    if constexpr (kLanes < 8)
      for (size_t i = 0; i < kParts; ++i) hn::Store(part_[i], D(), memory_ + i * kLanes);
  }
  V part_[kParts];
  HWY_ALIGN float memory_[kLanes < 8 ? 16 : 1];
};

/// The high and the low nibble of as many bytes as there are lanes, in the lowest four bits.
template <class D>
HWY_INLINE void load_codes(D, const uint8_t* bytes, hn::Vec<BitsOf<D>>& high,
                           hn::Vec<BitsOf<D>>& low) {
  const BitsOf<D> du;
  const auto word = hn::PromoteTo(du, hn::LoadU(hn::Rebind<uint8_t, D>(), bytes));
  high = hn::ShiftRight<4>(word);
  low = word;
}

/// Two bf16 a word, from and to memory aligned for bf16 alone.
HWY_INLINE hn::Vec<BitsOf<Floats>> load_words(const bf16* in) {
  const BitsOf<Floats> du;
  if constexpr (HWY_LANES(float) == 1) {
    uint32_t word;
    std::memcpy(&word, in, sizeof word);
    return hn::Set(du, word);
  } else {
    return hn::LoadU(du, reinterpret_cast<const uint32_t*>(in));
  }
}
HWY_INLINE void store_words(hn::Vec<BitsOf<Floats>> words, bf16* out) {
  const BitsOf<Floats> du;
  if constexpr (HWY_LANES(float) == 1) {
    const uint32_t word = hn::GetLane(words);
    std::memcpy(static_cast<void*>(out), &word, sizeof word);
  } else {
    hn::StoreU(words, du, reinterpret_cast<uint32_t*>(out));
  }
}

/// One float after another, a from lane 0 up then b: even[i], odd[i] interleaved.
template <class D, class V>
HWY_INLINE void store_pairs(D d, V even, V odd, float* out) {
  hn::StoreInterleaved2(even, odd, d, out);
}
/// The same for floats already rounded to bf16.
template <class D, class V>
HWY_INLINE void store_pairs(D, V even, V odd, bf16* out) {
  const BitsOf<D> du;
  store_words(hn::Or(hn::ShiftRight<16>(hn::BitCast(du, even)), hn::BitCast(du, odd)), out);
}

/// out = elements [begin, begin + count) of a 4-bit matrix, flattened.
template <class T>
HWY_INLINE void widen_codes(const QuantizedMatrix& m, int64_t begin, int64_t count, T* out) {
  constexpr bool kBf16 = std::is_same_v<T, bf16>;
  const Floats d;
  const auto unit = static_cast<int64_t>(2 * hn::Lanes(d));
  const CodeTable<Floats> book(m.code_book);
  for (int64_t e = begin; e < begin + count;) {
    const int64_t b = e / m.block;
    const int64_t end = std::min(begin + count, (b + 1) * m.block);
    const float scale = block_scale(m, b);
    const auto one = [&] { *out++ = from_float<T>(m.code_book[nibble_at(m.codes, e++)] * scale); };
    if (e & 1) one();
    if (end - e >= unit) {
      const auto table = book.template scaled<kBf16>(scale);
      for (; end - e >= unit; e += unit, out += unit) {
        hn::Vec<BitsOf<Floats>> high, low;
        load_codes(d, m.codes + (e >> 1), high, low);
        store_pairs(d, table(high), table(low), out);
      }
    }
    while (e < end) one();
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#endif
