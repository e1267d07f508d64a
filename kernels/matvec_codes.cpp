// SPDX-License-Identifier: Apache-2.0
// Eight codes lie in a 32-bit lane. Shifted right by 4s, a register of such words is the index of
// the code book for element 8*lane + (s ^ 1) of every lane at once (a byte's high half comes
// first), so x is laid out in that order once a call and codes need no unpacking. All eight
// elements of a lane share a block: sums are scaled lane by lane, from scales that are spread so
// beforehand.
#include "kernels/matvec_codes.h"

#include <vector>

#include "base/checked.h"
#include "base/threads.h"
#include "kernels/args.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matvec_codes.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>

#include "kernels/dequantize-inl.h"

#ifndef NIBBLE_KERNELS_MATVEC_CODES_ONCE
#define NIBBLE_KERNELS_MATVEC_CODES_ONCE
namespace nibble {
/// x in the order of the shifts, zeros up to whole registers of codes.
struct ShiftedVectors {
  const float* x = nullptr;
  int64_t stride = 0, count = 0, length = 0;
};
inline constexpr int64_t kCodesPerLane = 8;
inline constexpr int64_t kAhead = 2048;       // bytes of codes asked for in advance
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

/// Code-book entries of the lowest four bits of every lane.
template <int kShift>
HWY_INLINE V look_up(const CodeTable<Floats>& book, Words words) {
  Words index = hn::ShiftRight<kShift>(words);
  // A register of 16 entries looks at four bits only.
  if constexpr (kLanes < 16 || HWY_IS_DEBUG_BUILD)
    index = hn::And(index, hn::Set(BitsOf<Floats>(), 15u));
  return book(index);
}

/// One register of codes of R rows against M vectors: total += scale * sum.
template <int R, int M>
HWY_INLINE void add_unit(const CodeTable<Floats>& book, const Words* words, const V* scale,
                         const float* x, int64_t stride, V* total) {
  const Floats d;
  V even[R * M], odd[R * M];
  const auto pair = [&]<int kPair>(std::integral_constant<int, kPair>) {
    for (int r = 0; r < R; ++r) {
      const V w0 = look_up<8 * kPair>(book, words[r]), w1 = look_up<8 * kPair + 4>(book, words[r]);
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

/// sums[r*M + m] = x[m] . row r, for R rows one after another from `codes`; scales a lane.
template <int R, int M>
HWY_INLINE void dot_rows(const CodeTable<Floats>& book, const uint8_t* codes, const float* scales,
                         const ShiftedVectors& v, const float* x, float* sums) {
  const Floats d;
  const int64_t lanes = v.length / kCodesPerLane, bytes = v.length / 2;
  V total[R * M];
  for (int k = 0; k < R * M; ++k) total[k] = hn::Zero(d);
  Words words[R];
  V scale[R];
  int64_t i = 0;
  for (; i + kLanes <= lanes; i += kLanes) {
    for (int r = 0; r < R; ++r) {
      hwy::Prefetch(codes + r * bytes + 4 * i + kAhead);
      words[r] = load_words_of(codes + r * bytes + 4 * i);
      scale[r] = hn::LoadU(d, scales + r * lanes + i);
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
      scale[r] = hn::MaskedLoad(some, d, scales + r * lanes + i);
    }
    add_unit<R, M>(book, words, scale, x + kCodesPerLane * i, v.stride, total);
  }
  for (int k = 0; k < R * M; ++k) sums[k] = hn::GetLane(hn::SumOfLanes(d, total[k]));
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

void put(const Tensor& out, int64_t m, int64_t o, float value) {
  const int64_t at = m * out.row_stride + o;
  if (out.dtype == Dtype::kF32)
    out.as<float>()[at] = value;
  else
    out.as<bf16>()[at] = to_bf16(value);
}

/// Rows [begin, end); `scales` has room for kScaleChunk, or for a row if that is more, and a
/// register.
void code_rows(const QuantizedMatvec& op, const ShiftedVectors& v, int64_t begin, int64_t end,
               float* scales) {
  const QuantizedMatrix& m = op.matrix;
  const CodeTable<Floats> book(m.code_book);
  const int64_t lanes = v.length / kCodesPerLane, bytes = v.length / 2;
  const int64_t chunk = std::max<int64_t>(1, kScaleChunk / lanes);
  for (int64_t row = begin; row < end; row += chunk) {
    const int64_t rows = std::min(chunk, end - row);
    spread_scales(m, row * lanes, rows * lanes, scales);
    const auto tile = [&]<int R, int M>(int64_t r, int64_t first, std::integral_constant<int, R>,
                                        std::integral_constant<int, M>) {
      float sums[R * M];
      dot_rows<R, M>(book, m.codes + (row + r) * bytes, scales + r * lanes, v,
                     v.x + first * v.stride, sums);
      for (int i = 0; i < R; ++i)
        for (int k = 0; k < M; ++k) put(op.out, first + k, row + r + i, sums[i * M + k]);
    };
    const auto all_rows = [&]<int M>(int64_t first, std::integral_constant<int, M> vectors) {
      int64_t r = 0;
      for (; r + 2 <= rows; r += 2) tile(r, first, std::integral_constant<int, 2>(), vectors);
      if (r < rows) tile(r, first, std::integral_constant<int, 1>(), vectors);
    };
    int64_t first = 0;
    for (; first + 4 <= v.count; first += 4) all_rows(first, std::integral_constant<int, 4>());
    for (; first < v.count; ++first) all_rows(first, std::integral_constant<int, 1>());
  }
}

int64_t unit_codes() {
  return kUnit;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(unit_codes);
HWY_EXPORT(code_rows);

/// Room that grows and stays: a step allocates nothing once it is large enough.
float* at_least(std::vector<float>& memory, int64_t elements) {
  constexpr int64_t kAlign = 16;
  if (static_cast<int64_t>(memory.size()) < elements + kAlign)
    memory.resize(static_cast<size_t>(elements + kAlign));
  float* base = memory.data();
  return base + (64 - reinterpret_cast<uintptr_t>(base) % 64) % 64 / sizeof(float);
}

ShiftedVectors lay_out(const Tensor& x) {
  static thread_local std::vector<float> memory;
  const int64_t unit = NIBBLE_SIMD(unit_codes)(), lanes = unit / kCodesPerLane;
  const int64_t count = x.dim(0), length = x.dim(1), stride = round_up(length, unit);
  float* base = at_least(memory, count * stride);
  for (int64_t m = 0; m < count; ++m) {
    float* out = base + m * stride;
    const auto copy = [&](const auto* in) {
      for (int64_t u = 0; u < stride; u += unit)
        for (int64_t s = 0; s < kCodesPerLane; ++s)
          for (int64_t l = 0; l < lanes; ++l) {
            const int64_t i = u + kCodesPerLane * l + (s ^ 1);
            out[u + s * lanes + l] = i < length ? to_float(in[i]) : 0.0f;
          }
    };
    if (x.dtype == Dtype::kF32)
      copy(x.as<float>() + m * x.row_stride);
    else
      copy(x.as<bf16>() + m * x.row_stride);
  }
  return {base, stride, count, length};
}

}  // namespace

bool cpu::codes_fit_words(const QuantizedMatrix& m) {
  return m.type != QuantType::kInt8 && m.in_features % kCodesPerLane == 0 &&
         m.block % kCodesPerLane == 0;
}

void cpu::matvec_codes(const QuantizedMatvec& op) {
  const ShiftedVectors v = lay_out(op.x);
  const int64_t lanes = v.length / kCodesPerLane;
  parallel_for(op.matrix.out_features, row_grain(v.length * v.count / 8),
               [&](int64_t begin, int64_t end) {
                 static thread_local std::vector<float> scales;
                 NIBBLE_SIMD(code_rows)
                 (op, v, begin, end, at_least(scales, std::max(kScaleChunk, lanes) + 16));
               });
}

}  // namespace nibble
#endif  // HWY_ONCE
