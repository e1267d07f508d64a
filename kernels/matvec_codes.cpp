// SPDX-License-Identifier: Apache-2.0
// Eight codes lie in a 32-bit lane. Shifted right by 4s, a register of such words is the index of
// the code book for element 8*lane + (s ^ 1) of every lane at once (a byte's high half comes
// first), so x is laid out in that order once a call and codes need no unpacking. All eight
// elements of a lane share a block: sums are scaled lane by lane, from scales that are spread so
// beforehand. Where the processor multiplies bf16 in pairs and x is bf16, a word is two lanes of
// 16 bits: half the shifts, look-ups and products.
#include "kernels/matvec_codes.h"

#include <bit>
#include <vector>

#include "base/checked.h"
#include "base/threads.h"
#include "kernels/args.h"
#include "kernels/code_books.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matvec_codes.cpp"
#include <hwy/foreach_target.h>

#include <hwy/cache_control.h>

#include "kernels/matvec-inl.h"

#ifndef NIBBLE_KERNELS_MATVEC_CODES_ONCE
#define NIBBLE_KERNELS_MATVEC_CODES_ONCE
namespace nibble {
inline constexpr int64_t kCodesPerLane = 8;
inline constexpr int64_t kAhead = 4096;       // bytes of codes asked for in advance: a page
inline constexpr int64_t kScalesAhead = 512;  // and of scales: about a chunk
inline constexpr int64_t kScaleChunk = 4096;  // spread scales kept at a time: in the first cache
}  // namespace nibble
#endif

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

using V = hn::Vec<Floats>;
using Words = hn::Vec<BitsOf<Floats>>;
constexpr int64_t kUnit = kCodesPerLane * kLanes;  // codes of a register

HWY_INLINE Words load_words_of(const uint8_t* codes) {
  const BitsOf<Floats> d;
  if constexpr (kLanes == 1) {
    uint32_t word;
    std::memcpy(&word, codes, sizeof word);
    return hn::Set(d, word);
  } else {
    return hn::LoadU(d, reinterpret_cast<const uint32_t*>(codes));
  }
}

/// How a register of codes meets x, as Element: kRegisters of the code book's entries, each against
/// one of x. What it sums is `scale` times too great.
template <class Element>
struct CodeProduct;

/// Entry s of a lane is its element s ^ 1.
template <>
struct CodeProduct<float> {
  static constexpr int kRegisters = 8;
  static constexpr float scale = 1.0f;
  CodeTable<Floats> book;

  explicit CodeProduct(const QuantizedMatrix& m) : book(m.code_book) {}
  template <int kIndex>
  HWY_INLINE V weights(Words codes) const {
    return book(hn::ShiftRight<4 * kIndex>(codes));
  }
};

#if HWY_TARGET == HWY_AVX3
/// Two entries to a lane: s of its low and of its high half, elements s ^ 1 and 4 + (s ^ 1).
template <Bf16Dot kDot>
struct CodeProduct<Bf16Pair<kDot>> {
  static constexpr int kRegisters = 4;
  float scale;
  hn::Vec<hn::Repartition<uint16_t, Floats>> book;  // twice the code book: five bits look it up

  explicit CodeProduct(const QuantizedMatrix& m) : scale(bf16_book_scale(m.type)) {
    const hn::Repartition<uint16_t, Floats> d;
    const auto entries =
        narrow(hn::Mul(hn::LoadU(Floats(), m.code_book), hn::Set(Floats(), scale)));
    book = hn::Combine(d, entries, entries);
  }
  template <int kIndex>
  HWY_INLINE V weights(Words codes) const {
    const hn::Repartition<uint16_t, Floats> d;
    auto w = hn::ShiftRight<4 * kIndex>(hn::BitCast(d, codes));
    w.raw = _mm512_permutexvar_epi16(w.raw, book.raw);  // Highway 1.0 looks up no 16 bits
    return hn::BitCast(Floats(), w);
  }
};
#endif

/// A register of codes of each of N rows against M vectors: total += scale * sum.
template <int N, int M, class Element>
HWY_INLINE void add_unit(const CodeProduct<Element>& product, const Words* codes, const V* scale,
                         const float* x, int64_t stride, V* total) {
  const Floats d;
  V even[N * M], odd[N * M];
  const auto two = [&]<int kIndex>(std::integral_constant<int, kIndex>) {
    if constexpr (kIndex < CodeProduct<Element>::kRegisters) {
      V w0[N], w1[N];
      for (int n = 0; n < N; ++n) {
        w0[n] = product.template weights<kIndex>(codes[n]);
        w1[n] = product.template weights<kIndex + 1>(codes[n]);
      }
      for (int m = 0; m < M; ++m) {
        const float* at = x + m * stride + kIndex * kLanes;
        const V x0 = hn::LoadU(d, at), x1 = hn::LoadU(d, at + kLanes);
        for (int n = 0; n < N; ++n) {
          V &e = even[n * M + m], &o = odd[n * M + m];
          if (kIndex == 0) e = o = hn::Zero(d);
          e = Factor<Element>::multiply_add(w0[n], x0, e);
          o = Factor<Element>::multiply_add(w1[n], x1, o);
        }
      }
    }
  };
  two(std::integral_constant<int, 0>());
  two(std::integral_constant<int, 2>());
  two(std::integral_constant<int, 4>());
  two(std::integral_constant<int, 6>());
  for (int n = 0; n < N; ++n)
    for (int m = n * M; m < n * M + M; ++m)
      total[m] = hn::MulAdd(hn::Add(even[m], odd[m]), scale[n], total[m]);
}

/// The scales of rows that lie one after another: a lane's each, or a block's each where rows begin
/// with a block.
struct RowScales {
  const float* scales;
  int64_t row;    // scales of a row
  int shift;      // 2^shift lanes share one
  Words pattern;  // which of the scales from a register's first on is each lane's

  HWY_INLINE V at(int64_t r, int64_t lane) const {
    const Floats d;
    const V some = hn::LoadU(d, scales + r * row + (lane >> shift));
    return hn::TableLookupLanes(some, hn::IndicesFromVec(d, pattern));
  }
};

/// How many of R rows meet M vectors at once: all share each load of one vector, where there are
/// registers for them.
template <int R, int M>
constexpr int kRowsAtOnce = (HWY_TARGET == HWY_AVX3) && M == 1 ? R : 1;

/// sums[r*M + m] = x[m] . row r, for R rows one after another from `codes`.
template <int R, int M, class Product>
HWY_INLINE void dot_rows(const Product& product, const uint8_t* codes, const RowScales& scales,
                         int64_t row, const cpu::Vectors& v, const float* x, float* sums) {
  constexpr int N = kRowsAtOnce<R, M>;
  const Floats d;
  const int64_t lanes = v.length / kCodesPerLane, bytes = v.length / 2;
  V total[R * M];
  for (int r = 0; r < R; r += N, codes += N * bytes) {
    V of_rows[N * M];
    for (V& t : of_rows) t = hn::Zero(d);
    int64_t i = 0;
    for (; i + kLanes <= lanes; i += kLanes) {
      Words words[N];
      V scale[N];
      for (int n = 0; n < N; ++n) {
        const uint8_t* from = codes + n * bytes + 4 * i;
        hwy::Prefetch(from + kAhead);
        words[n] = load_words_of(from);
        scale[n] = scales.at(row + r + n, i);
      }
      add_unit<N, M>(product, words, scale, x + Product::kRegisters * i, v.stride, of_rows);
    }
    if (i < lanes) {
      // Lanes beyond the row are not read: they may lie outside the file.
      const auto some = hn::FirstN(d, static_cast<size_t>(lanes - i));
      Words words[N];
      V scale[N];
      for (int n = 0; n < N; ++n) {
        const auto* from = reinterpret_cast<const float*>(codes + n * bytes + 4 * i);
        words[n] = hn::BitCast(BitsOf<Floats>(), hn::MaskedLoad(some, d, from));
        scale[n] = hn::IfThenElseZero(some, scales.at(row + r + n, i));
      }
      add_unit<N, M>(product, words, scale, x + Product::kRegisters * i, v.stride, of_rows);
    }
    std::copy_n(of_rows, N * M, total + r * M);
  }
  sum_all<R * M>(total, sums);
}

/// 256 floats to look bytes up in.
class ByteTable {
 public:
  HWY_INLINE explicit ByteTable(const float* entries) : entries_(entries) {
#if HWY_TARGET == HWY_AVX3
    for (int i = 0; i < 16; ++i) part_[i] = hn::LoadU(Floats(), entries + i * kLanes);
#endif
  }
  HWY_INLINE V operator()(const uint8_t* bytes) const {
    const hn::RebindToSigned<Floats> di;
    const auto index = hn::PromoteTo(di, hn::LoadU(hn::Rebind<uint8_t, Floats>(), bytes));
#if HWY_TARGET == HWY_AVX3
    // Two registers are looked up by five bits at once, and the other three choose among eight
    // results: half the time of a gather, which reads lane after lane.
    const auto chosen = [&](int bit, V zero, V one) {
      const auto mask = _mm512_test_epi32_mask(index.raw, _mm512_set1_epi32(1 << bit));
      return V{_mm512_mask_blend_ps(mask, zero.raw, one.raw)};
    };
    const auto of_32 = [&](int i) {
      return V{_mm512_permutex2var_ps(part_[2 * i].raw, index.raw, part_[2 * i + 1].raw)};
    };
    const auto of_64 = [&](int i) { return chosen(5, of_32(2 * i), of_32(2 * i + 1)); };
    const auto of_128 = [&](int i) { return chosen(6, of_64(2 * i), of_64(2 * i + 1)); };
    return chosen(7, of_128(0), of_128(1));
#else
    return hn::GatherIndex(Floats(), entries_, index);
#endif
  }
  HWY_INLINE float operator()(uint8_t byte) const {
    return entries_[byte];
  }

 private:
  const float* entries_;
#if HWY_TARGET == HWY_AVX3
  V part_[16];
#endif
};

/// scales[i] = absmax of block first + i. Writes up to a register more.
void decode_scales(const QuantizedMatrix& m, int64_t first, int64_t count, float* scales) {
  if (m.absmax != nullptr) {
    std::copy_n(m.absmax + first, count, scales);
    return;
  }
  const Floats d;
  const ByteTable map(m.nested_map);
  for (int64_t i = 0; i < count;) {
    const int64_t nested = (first + i) / m.nested_block;
    const int64_t end = std::min(count, (nested + 1) * m.nested_block - first);
    const float absmax = m.nested_absmax[nested];
    const uint8_t* codes = m.absmax_codes + first;
    for (; i + kLanes <= end; i += kLanes) {
      hwy::Prefetch(codes + i + kScalesAhead);
      // Rounded apart, as bitsandbytes rounds.
      const V product = hn::Mul(map(codes + i), hn::Set(d, absmax));
      hn::StoreU(hn::Add(product, hn::Set(d, m.nested_offset)), d, scales + i);
    }
    for (; i < end; ++i) scales[i] = map(codes[i]) * absmax + m.nested_offset;
  }
}

/// scales[i] = absmax of the block that lane first + i of the matrix lies in. Writes up to a
/// register more.
void spread_scales(const QuantizedMatrix& m, int64_t first, int64_t count, float* scales) {
  constexpr int64_t kBlocks = 256;
  const Floats d;
  const int64_t width = m.block / kCodesPerLane;  // lanes of a block
  float decoded[kBlocks];
  for (int64_t i = 0; i < count;) {
    const int64_t block = (first + i) / width;
    const int64_t blocks = std::min(kBlocks, ceil_div(first + count, width) - block);
    decode_scales(m, block, blocks, decoded);
    int64_t to = block * width - first;  // where a block's lanes begin, before `scales` maybe
    for (int64_t b = 0; b < blocks; ++b) {
      const V all = hn::Set(d, decoded[b]);
      const int64_t end = std::min(count, to + width);
      for (to = std::max<int64_t>(to, 0); to < end; to += kLanes) hn::StoreU(all, d, scales + to);
      to = end;
    }
    i = to;
  }
}

/// The scales of `count` rows from `first` on, decoded into `memory`.
RowScales row_scales(const QuantizedMatrix& m, int64_t first, int64_t count, int64_t lanes,
                     float* memory) {
  const BitsOf<Floats> du;
  const int64_t width = m.block / kCodesPerLane;
  if (lanes % width != 0) {
    spread_scales(m, first * lanes, count * lanes, memory);
    return {memory, lanes, 0, hn::Iota(du, 0)};
  }
  const int64_t blocks = lanes / width;
  decode_scales(m, first * blocks, count * blocks, memory);
  const int shift = std::countr_zero(static_cast<uint64_t>(width));
  HWY_ALIGN uint32_t pattern[kLanes];
  for (int64_t l = 0; l < kLanes; ++l) pattern[l] = static_cast<uint32_t>(l >> shift);
  return {memory, blocks, shift, hn::Load(du, pattern)};
}

/// Rows [begin, end); `memory` has room for kScaleChunk, or for a lane's scales of a row if they
/// are more, and a register.
void code_rows(const Tensor& out, const QuantizedMatrix& matrix, const cpu::Vectors& v,
               int64_t begin, int64_t end, float* memory) {
  with_element(v.dot, [&](auto element) {
    const CodeProduct<decltype(element)> product(matrix);
    const float unscale = 1.0f / product.scale;
    const int64_t lanes = v.length / kCodesPerLane, bytes = v.length / 2;
    const int64_t chunk = std::max<int64_t>(1, kScaleChunk / lanes);
    for (int64_t first = begin; first < end; first += chunk) {
      const int64_t rows = std::min(chunk, end - first);
      const RowScales scales = row_scales(matrix, first, rows, lanes, memory);
      for_tiles(rows, v.count, [&]<int R, int M>(int64_t r, int64_t vector) {
        float sums[R * M];
        dot_rows<R, M>(product, matrix.codes + (first + r) * bytes, scales, r, v,
                       v.x + vector * v.stride, sums);
        for (int i = 0; i < R; ++i)
          for (int k = 0; k < M; ++k)
            cpu::put(out, vector + k, first + r + i, sums[i * M + k] * unscale);
      });
    }
  });
}

int64_t unit_codes() {
  return kUnit;
}

/// A register's codes' worth of x: lane l of the s-th of eight registers is element 8l + (s ^ 1).
HWY_INLINE void lay_out_unit(const float* x, float* out) {
  const hn::RebindToSigned<Floats> di;
  const auto lane = hn::ShiftLeft<3>(hn::Iota(di, 0));
  for (int32_t s = 0; s < kCodesPerLane; ++s) {
    const auto index = hn::Add(lane, hn::Set(di, s ^ 1));
    hn::StoreU(hn::GatherIndex(Floats(), x, index), Floats(), out + s * kLanes);
  }
}
/// Two bf16 of every lane's eight: elements 8l + 2p, and the one after it in the upper half.
HWY_INLINE Words pairs_at(const bf16* x, int32_t p) {
  const hn::RebindToSigned<Floats> di;
  const auto lane = hn::Add(hn::ShiftLeft<2>(hn::Iota(di, 0)), hn::Set(di, p));
  return hn::BitCast(BitsOf<Floats>(),
                     hn::GatherIndex(di, reinterpret_cast<const int32_t*>(x), lane));
}
HWY_INLINE void lay_out_unit(const bf16* x, float* out) {
  const Floats d;
  const BitsOf<Floats> du;
  for (int32_t p = 0; p < kCodesPerLane / 2; ++p) {
    const Words pair = pairs_at(x, p);
    const Words later = hn::And(pair, hn::Set(du, 0xffff0000u));
    hn::StoreU(hn::BitCast(d, later), d, out + 2 * p * kLanes);
    hn::StoreU(hn::BitCast(d, hn::ShiftLeft<16>(pair)), d, out + (2 * p + 1) * kLanes);
  }
}
/// As pairs: the halves of lane l of the s-th of four registers are 8l + (s ^ 1) and 4 beyond.
HWY_INLINE void lay_out_pairs(const bf16* x, float* out) {
  const Floats d;
  const BitsOf<Floats> du;
  const Words upper = hn::Set(du, 0xffff0000u);
  for (int32_t p = 0; p < 2; ++p) {
    const Words near = pairs_at(x, p), far = pairs_at(x, p + 2);
    const Words later = hn::Or(hn::ShiftRight<16>(near), hn::And(far, upper));
    const Words earlier = hn::Or(hn::AndNot(upper, near), hn::ShiftLeft<16>(far));
    hn::StoreU(hn::BitCast(d, later), d, out + 2 * p * kLanes);
    hn::StoreU(hn::BitCast(d, earlier), d, out + (2 * p + 1) * kLanes);
  }
}

/// x (1,I) in whole registers of codes, zeros behind.
void lay_out_vector(const Tensor& x, bool pairs, float* out) {
  const int64_t length = x.dim(1), whole = length / kUnit * kUnit;
  const auto lay_out = [&]<class T>(const T* from, int64_t registers, const auto& unit) {
    for (int64_t u = 0; u < whole; u += kUnit) unit(from + u, out + u / kCodesPerLane * registers);
    if (whole == length) return;
    T rest[kUnit] = {};
    std::copy_n(from + whole, length - whole, rest);
    unit(rest, out + whole / kCodesPerLane * registers);
  };
  const auto floats = [](const auto* from, float* to) { lay_out_unit(from, to); };
  if (pairs)
    lay_out(x.as<bf16>(), kCodesPerLane / 2, lay_out_pairs);
  else if (x.dtype == Dtype::kBf16)
    lay_out(x.as<bf16>(), kCodesPerLane, floats);
  else
    lay_out(x.as<float>(), kCodesPerLane, floats);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(unit_codes);
HWY_EXPORT(lay_out_vector);
HWY_EXPORT(code_rows);

/// x in the order of the shifts.
cpu::Vectors lay_out(const Tensor& x) {
  static thread_local std::vector<float> memory;
  const int64_t count = x.dim(0), length = x.dim(1);
  const int64_t stride = round_up(length, NIBBLE_SIMD(unit_codes)());
  const Bf16Dot dot = x.dtype == Dtype::kBf16 ? bf16_dot() : Bf16Dot::kNone;
  float* base = cpu::at_least(memory, count * stride);
  for (int64_t m = 0; m < count; ++m)
    NIBBLE_SIMD(lay_out_vector)(rows(x, m, 1), dot != Bf16Dot::kNone, base + m * stride);
  return {base, stride, count, length, dot};
}

}  // namespace

bool cpu::codes_fit_words(const QuantizedMatrix& m) {
  return m.type != QuantType::kInt8 && m.in_features % kCodesPerLane == 0 &&
         m.block % kCodesPerLane == 0;
}

void cpu::matvec_codes(const QuantizedMatvec& op) {
  const Vectors v = lay_out(op.x);
  const int64_t lanes = v.length / kCodesPerLane;
  // The rows of all matrices are shared out at once.
  parallel_for(op.out.dim(1), matvec_grain(v), [&](int64_t begin, int64_t end) {
    static thread_local std::vector<float> scales;
    float* room = at_least(scales, std::max(kScaleChunk, lanes) + 16);
    int64_t at = 0;
    for (const QuantizedMatrix& m : op.matrices) {
      const int64_t first = std::max(begin, at) - at, last = std::min(end - at, m.out_features);
      if (first < last)
        NIBBLE_SIMD(code_rows)(columns(op.out, at, m.out_features), m, v, first, last, room);
      at += m.out_features;
    }
  });
}

}  // namespace nibble
#endif  // HWY_ONCE
