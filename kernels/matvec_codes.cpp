// SPDX-License-Identifier: Apache-2.0
// Eight codes lie in a 32-bit lane. Shifted right by 4s, a register of such words is the index of
// the code book for element 8*lane + (s ^ 1) of every lane at once (a byte's high half comes
// first), so x is laid out in that order once a call and codes need no unpacking. All eight
// elements of a lane share a block: sums are scaled lane by lane, from scales that are spread so
// beforehand.
#include "kernels/matvec_codes.h"

#include <bit>
#include <vector>

#include "base/checked.h"
#include "base/threads.h"
#include "kernels/args.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matvec_codes.cpp"
#include <hwy/foreach_target.h>

#include <hwy/cache_control.h>

#include "kernels/dequantize-inl.h"

#ifndef NIBBLE_KERNELS_MATVEC_CODES_ONCE
#define NIBBLE_KERNELS_MATVEC_CODES_ONCE
namespace nibble {
inline constexpr int64_t kCodesPerLane = 8;
inline constexpr int64_t kAhead = 4096;       // bytes of codes asked for in advance, at least
inline constexpr int64_t kScaleChunk = 4096;  // spread scales kept at a time: in the first cache
}  // namespace nibble
#endif

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

using V = hn::Vec<Floats>;
using Words = hn::Vec<BitsOf<Floats>>;
constexpr int64_t kLanes = HWY_LANES(float);
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

/// One register of codes of R rows against M vectors: total += scale * sum.
template <int R, int M>
HWY_INLINE void add_unit(const CodeTable<Floats>& book, const Words* words, const V* scale,
                         const float* x, int64_t stride, V* total) {
  const Floats d;
  V even[R * M], odd[R * M];
  const auto pair = [&]<int kPair>(std::integral_constant<int, kPair>) {
    for (int r = 0; r < R; ++r) {
      const V w0 = book(hn::ShiftRight<8 * kPair>(words[r]));
      const V w1 = book(hn::ShiftRight<8 * kPair + 4>(words[r]));
      for (int m = 0; m < M; ++m) {
        const float* at = x + m * stride + 2 * kPair * kLanes;
        const V x0 = hn::LoadU(d, at), x1 = hn::LoadU(d, at + kLanes);
        V &e = even[r * M + m], &o = odd[r * M + m];
        e = kPair == 0 ? hn::Mul(w0, x0) : hn::MulAdd(w0, x0, e);
        o = kPair == 0 ? hn::Mul(w1, x1) : hn::MulAdd(w1, x1, o);
      }
    }
  };
  pair(std::integral_constant<int, 0>());
  pair(std::integral_constant<int, 1>());
  pair(std::integral_constant<int, 2>());
  pair(std::integral_constant<int, 3>());
  for (int r = 0; r < R; ++r)
    for (int m = 0; m < M; ++m)
      total[r * M + m] =
          hn::MulAdd(hn::Add(even[r * M + m], odd[r * M + m]), scale[r], total[r * M + m]);
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

/// The sums of four registers.
HWY_INLINE void sum_four(const V* v, float* sums) {
#if HWY_TARGET == HWY_SCALAR
  for (int k = 0; k < 4; ++k) sums[k] = hn::GetLane(v[k]);
#else
  const Floats d;
  const hn::FixedTag<float, 4> d4;
  HWY_ALIGN float lanes[4 * kLanes];
  for (int k = 0; k < 4; ++k) hn::Store(v[k], d, lanes + k * kLanes);
  const auto quarter = [&](int k) {
    auto sum = hn::Load(d4, lanes + k * kLanes);
    for (int64_t l = 4; l < kLanes; l += 4)
      sum = hn::Add(sum, hn::Load(d4, lanes + k * kLanes + l));
    return sum;
  };
  const auto a = quarter(0), b = quarter(1), c = quarter(2), e = quarter(3);
  // Lanes 0 and 2, 1 and 3 of a and b, and of c and e; then the two halves.
  const auto ab = hn::Add(hn::InterleaveLower(d4, a, b), hn::InterleaveUpper(d4, a, b));
  const auto ce = hn::Add(hn::InterleaveLower(d4, c, e), hn::InterleaveUpper(d4, c, e));
  hn::StoreU(hn::Add(hn::ConcatLowerLower(d4, ce, ab), hn::ConcatUpperUpper(d4, ce, ab)), d4, sums);
#endif
}

/// sums[k] for R*M registers. One at a time gives the bits that four at a time give.
template <int kCount>
HWY_INLINE void sum_all(const V* v, float* sums) {
  int k = 0;
  for (; k + 4 <= kCount; k += 4) sum_four(v + k, sums + k);
  if (k == kCount) return;
  V rest[4];
  float four[4];
  for (int i = 0; i < 4; ++i) rest[i] = k + i < kCount ? v[k + i] : hn::Zero(Floats());
  sum_four(rest, four);
  std::copy_n(four, kCount - k, sums + k);
}

/// sums[r*M + m] = x[m] . row r, for R rows one after another from `codes`.
template <int R, int M>
HWY_INLINE void dot_rows(const CodeTable<Floats>& book, const uint8_t* codes,
                         const RowScales& scales, int64_t row, const cpu::Vectors& v,
                         const float* x, float* sums) {
  const Floats d;
  const int64_t lanes = v.length / kCodesPerLane, bytes = v.length / 2;
  V total[R * M];
  for (int k = 0; k < R * M; ++k) total[k] = hn::Zero(d);
  Words words[R];
  V scale[R];
  int64_t i = 0;
  // Lines are asked for one by one between products: many at once would wait for each other.
  const uint8_t* ahead = codes + round_up(kAhead, R * bytes);
  for (; i + kLanes <= lanes; i += kLanes) {
    for (int r = 0; r < R; ++r) {
      hwy::Prefetch(ahead + r * bytes + 4 * i);
      words[r] = load_words_of(codes + r * bytes + 4 * i);
      scale[r] = scales.at(row + r, i);
    }
    add_unit<R, M>(book, words, scale, x + kCodesPerLane * i, v.stride, total);
  }
  if (i < lanes) {
    // Lanes beyond the row are not read: they may lie outside the file.
    const auto some = hn::FirstN(d, static_cast<size_t>(lanes - i));
    const BitsOf<Floats> du;
    for (int r = 0; r < R; ++r) {
      const auto* from = reinterpret_cast<const float*>(codes + r * bytes + 4 * i);
      words[r] = hn::BitCast(du, hn::MaskedLoad(some, d, from));
      scale[r] = hn::IfThenElseZero(some, scales.at(row + r, i));
    }
    add_unit<R, M>(book, words, scale, x + kCodesPerLane * i, v.stride, total);
  }
  sum_all<R * M>(total, sums);
}

/// scales[i] = absmax of block first + i. Writes up to a register more.
void decode_scales(const QuantizedMatrix& m, int64_t first, int64_t count, float* scales) {
  if (m.absmax != nullptr) {
    std::copy_n(m.absmax + first, count, scales);
    return;
  }
  const Floats d;
  const hn::RebindToSigned<Floats> di;
  for (int64_t i = 0; i < count;) {
    const int64_t nested = (first + i) / m.nested_block;
    const int64_t end = std::min(count, (nested + 1) * m.nested_block - first);
    const float absmax = m.nested_absmax[nested];
    const uint8_t* codes = m.absmax_codes + first;
    for (; i + kLanes <= end; i += kLanes) {
      const auto index = hn::PromoteTo(di, hn::LoadU(hn::Rebind<uint8_t, Floats>(), codes + i));
      const V value = hn::GatherIndex(d, m.nested_map, index);
      // Rounded apart, as bitsandbytes rounds.
      const V product = hn::Mul(value, hn::Set(d, absmax));
      hn::StoreU(hn::Add(product, hn::Set(d, m.nested_offset)), d, scales + i);
    }
    for (; i < end; ++i) scales[i] = m.nested_map[codes[i]] * absmax + m.nested_offset;
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
void code_rows(const Tensor& out, const QuantizedMatrix& m, const cpu::Vectors& v, int64_t begin,
               int64_t end, float* memory) {
  const CodeTable<Floats> book(m.code_book);
  const int64_t lanes = v.length / kCodesPerLane, bytes = v.length / 2;
  const int64_t chunk = std::max<int64_t>(1, kScaleChunk / lanes);
  for (int64_t first = begin; first < end; first += chunk) {
    const int64_t rows = std::min(chunk, end - first);
    const RowScales scales = row_scales(m, first, rows, lanes, memory);
    const auto tile = [&]<int R, int M>(int64_t r, int64_t vector, std::integral_constant<int, R>,
                                        std::integral_constant<int, M>) {
      float sums[R * M];
      dot_rows<R, M>(book, m.codes + (first + r) * bytes, scales, r, v, v.x + vector * v.stride,
                     sums);
      for (int i = 0; i < R; ++i)
        for (int k = 0; k < M; ++k) cpu::put(out, vector + k, first + r + i, sums[i * M + k]);
    };
    // R*M sums are made at a time: enough to hide the latency of each.
    const auto all_rows = [&]<int R, int M>(int64_t vector, std::integral_constant<int, R> several,
                                            std::integral_constant<int, M> vectors) {
      int64_t r = 0;
      for (; r + R <= rows; r += R) tile(r, vector, several, vectors);
      for (; r < rows; ++r) tile(r, vector, std::integral_constant<int, 1>(), vectors);
    };
    int64_t vector = 0;
    for (; vector + 4 <= v.count; vector += 4)
      all_rows(vector, std::integral_constant<int, 2>(), std::integral_constant<int, 4>());
    for (; vector < v.count; ++vector)
      all_rows(vector, std::integral_constant<int, 4>(), std::integral_constant<int, 1>());
  }
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
/// bf16 come in pairs: the later of two is the upper half of a word.
HWY_INLINE void lay_out_unit(const bf16* x, float* out) {
  const Floats d;
  const hn::RebindToSigned<Floats> di;
  const auto lane = hn::ShiftLeft<2>(hn::Iota(di, 0));
  for (int32_t p = 0; p < kCodesPerLane / 2; ++p) {
    const auto pair =
        hn::GatherIndex(di, reinterpret_cast<const int32_t*>(x), hn::Add(lane, hn::Set(di, p)));
    const auto later = hn::And(pair, hn::Set(di, static_cast<int32_t>(0xffff0000u)));
    hn::StoreU(hn::BitCast(d, later), d, out + 2 * p * kLanes);
    hn::StoreU(hn::BitCast(d, hn::ShiftLeft<16>(pair)), d, out + (2 * p + 1) * kLanes);
  }
}

/// x (1,I) in whole registers of codes, zeros behind.
void lay_out_vector(const Tensor& x, float* out) {
  const int64_t length = x.dim(1), whole = length / kUnit * kUnit;
  const auto lay_out = [&]<class T>(const T* from) {
    for (int64_t u = 0; u < whole; u += kUnit) lay_out_unit(from + u, out + u);
    if (whole == length) return;
    T rest[kUnit] = {};
    std::copy_n(from + whole, length - whole, rest);
    lay_out_unit(rest, out + whole);
  };
  x.dtype == Dtype::kBf16 ? lay_out(x.as<bf16>()) : lay_out(x.as<float>());
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
  float* base = cpu::at_least(memory, count * stride);
  for (int64_t m = 0; m < count; ++m) NIBBLE_SIMD(lay_out_vector)(rows(x, m, 1), base + m * stride);
  return {base, stride, count, length};
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
