// SPDX-License-Identifier: Apache-2.0
#include "kernels/quantize.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/checked.h"
#include "base/threads.h"
#include "kernels/args.h"
#include "kernels/code_books.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/quantize.cpp"
#include <hwy/foreach_target.h>

#include "kernels/dequantize-inl.h"
#include "kernels/dynamic8bit-inl.h"

#ifndef NIBBLE_KERNELS_QUANTIZE_ONCE
#define NIBBLE_KERNELS_QUANTIZE_ONCE
namespace nibble {

inline constexpr int64_t kDynamicBlock = 256;

/// The ranks, and for each of 16 stretches of [-1, 1] what of them matters there: how many
/// midpoints lie below it, and those that lie in it, two at most of NF4, three of FP4, which has
/// two zeros.
struct Ranking : CodeRanks {
  // v * kScale + kShift is 2^23 and the stretch's number, 1 to 15, which its lowest bits then are.
  static constexpr float kScale = 6.8f, kShift = 8388616.0f;
  std::array<std::array<float, 16>, 3> within;  // infinite where there is none
  std::array<uint8_t, 16> below{};

  explicit Ranking(QuantType type) : CodeRanks(code_ranks(type)) {
    for (auto& list : within) list.fill(std::numeric_limits<float>::infinity());
    for (const float m : midpoint) {
      const float at = m * kScale + 8.0f;
      const auto stretch = static_cast<size_t>(std::lround(at));
      // So far from its ends that how the sum was rounded does not matter.
      CHECK(std::abs(at - static_cast<float>(stretch)) < 0.49f);
      const auto free = std::find_if(within.begin(), within.end(),
                                     [&](const auto& list) { return std::isinf(list[stretch]); });
      CHECK(free != (type == QuantType::kNf4 ? within.end() - 1 : within.end()));
      (*free)[stretch] = m;
      for (size_t next = stretch + 1; next < below.size(); ++next) ++below[next];
    }
  }
  uint8_t code_of(float v) const {
    size_t rank = 0;
    while (rank < midpoint.size() && midpoint[rank] < v) ++rank;
    return code[rank];
  }
};

}  // namespace nibble
#endif

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {

using V = hn::Vec<Floats>;
using VU = hn::Vec<BitsOf<Floats>>;
constexpr int64_t kLanes = HWY_LANES(float);
constexpr int64_t kUnit = 2 * kLanes;

/// The even and the odd ones of kUnit adjoining elements.
HWY_INLINE void load_pairs(const float* in, V& even, V& odd) {
  hn::LoadInterleaved2(Floats(), in, even, odd);
}
HWY_INLINE void load_pairs(const bf16* in, V& even, V& odd) {
  const BitsOf<Floats> du;
  const auto words = load_words(in);
  even = hn::BitCast(Floats(), hn::ShiftLeft<16>(words));
  odd = hn::BitCast(Floats(), hn::And(words, hn::Set(du, 0xffff0000u)));
}
HWY_INLINE void load_pairs(const f16* in, V& even, V& odd) {
  HWY_ALIGN float wide[kUnit];
  for (int64_t i = 0; i < kUnit; ++i) wide[i] = to_float(in[i]);
  load_pairs(wide, even, odd);
}

/// The greatest |x|, compared as integers: a NaN is greater than anything.
template <class T>
HWY_INLINE float greatest(const T* x, int64_t count) {
  const BitsOf<Floats> du;
  const auto magnitude = hn::Set(du, 0x7fffffffu);
  VU most = hn::Zero(du);
  int64_t i = 0;
  for (; i + kUnit <= count; i += kUnit) {
    V even, odd;
    load_pairs(x + i, even, odd);
    most = hn::Max(most, hn::Max(hn::And(hn::BitCast(du, even), magnitude),
                                 hn::And(hn::BitCast(du, odd), magnitude)));
  }
  uint32_t result = hn::GetLane(hn::MaxOfLanes(du, most));
  for (; i < count; ++i)
    result = std::max(result, std::bit_cast<uint32_t>(to_float(x[i])) & 0x7fffffffu);
  return std::bit_cast<float>(result);
}

/// The codes of registers of numbers in [-1, 1].
class Coder {
 public:
  explicit Coder(const Ranking& ranking)
      : ranking_(ranking),
        first_(ranking.within[0].data()),
        second_(ranking.within[1].data()),
        third_(ranking.within[2].data()),
        below_(as_bits(ranking.below).data()),
        codes_(as_bits(ranking.code).data()) {
    identity_ = std::is_sorted(ranking.code.begin(), ranking.code.end());
  }
  HWY_INLINE VU operator()(V v) const {
    const BitsOf<Floats> du;
    const Floats d;
    const auto one = hn::Set(du, 1u);
    const VU stretch =
        hn::BitCast(du, hn::MulAdd(v, hn::Set(d, Ranking::kScale), hn::Set(d, Ranking::kShift)));
    VU rank = hn::BitCast(du, below_(stretch));
    const auto count = [&](const CodeTable<Floats>& midpoints) HWY_ATTR {
      const auto past = hn::RebindMask(du, hn::Gt(v, midpoints(stretch)));
      rank = hn::IfThenElse(past, hn::Add(rank, one), rank);
    };
    count(first_);
    count(second_);
    if (identity_) return rank;  // NF4
    count(third_);
    return hn::BitCast(du, codes_(rank));
  }
  uint8_t one(float v) const { return ranking_.code_of(v); }

 private:
  /// As the bits of floats, to be looked up like them.
  static std::array<float, 16> as_bits(const std::array<uint8_t, 16>& numbers) {
    std::array<float, 16> bits;
    for (size_t i = 0; i < bits.size(); ++i) bits[i] = std::bit_cast<float>(uint32_t{numbers[i]});
    return bits;
  }
  const Ranking& ranking_;
  CodeTable<Floats> first_, second_, third_, below_, codes_;
  bool identity_;
};

template <class T>
void quantize_block_range(const Quantize4bit& op, const Ranking& ranking, int64_t begin,
                          int64_t end) {
  const hn::RebindToSigned<Floats> di;
  const hn::Rebind<uint8_t, Floats> db;
  const Coder coder(ranking);
  const int64_t elements = op.weight.elements();
  const T* weight = op.weight.as<T>();
  for (int64_t b = begin; b < end; ++b) {
    const T* x = weight + b * op.block;
    uint8_t* codes = op.codes.as<uint8_t>() + b * op.block / 2;
    const int64_t count = std::min(op.block, elements - b * op.block);
    float absmax = greatest(x, count);
    if (count == op.block) {
      op.absmax.as<float>()[b] = absmax;
      const auto inverse = hn::Set(Floats(), 1.0f / std::max(absmax, kLeastAbsmax));
      for (int64_t i = 0; i < count; i += kUnit) {
        V even, odd;
        load_pairs(x + i, even, odd);
        const VU high = coder(hn::Mul(even, inverse)), low = coder(hn::Mul(odd, inverse));
        const VU bytes = hn::Or(hn::ShiftLeft<4>(high), low);
        hn::StoreU(hn::DemoteTo(db, hn::BitCast(di, bytes)), db, codes + i / 2);
      }
      continue;
    }
    absmax = std::max(absmax, kLeastAbsmax);
    op.absmax.as<float>()[b] = absmax;
    for (int64_t i = 0; i < count; i += 2) {
      const uint8_t high = coder.one(to_float(x[i]) / absmax);
      const uint8_t low = coder.one(i + 1 < count ? to_float(x[i + 1]) / absmax : 0.0f);
      codes[i / 2] = static_cast<uint8_t>(high << 4 | low);
    }
  }
}

void quantize_blocks(const Quantize4bit& op, const Ranking& ranking, int64_t begin, int64_t end) {
  switch (op.weight.dtype) {
    case Dtype::kF32:
      return quantize_block_range<float>(op, ranking, begin, end);
    case Dtype::kBf16:
      return quantize_block_range<bf16>(op, ranking, begin, end);
    default:
      return quantize_block_range<f16>(op, ranking, begin, end);
  }
}

void quantize_dynamic_blocks(const QuantizeDynamic8bit& op, int64_t begin, int64_t end) {
  const auto& grid = dynamic_grid(DynamicMap::kSigned);
  for (int64_t b = begin; b < end; ++b) {
    const int64_t first = b * kDynamicBlock;
    const int64_t count = std::min(kDynamicBlock, op.values.dim(0) - first);
    HWY_ALIGN float x[kDynamicBlock] = {};
    std::copy_n(op.values.as<float>() + first, count, x);
    op.absmax.as<float>()[b] = narrow_dynamic(x, grid, count, op.codes.as<uint8_t>() + first);
  }
}

HWY_INLINE V load_floats(const float* x) {
  return hn::LoadU(Floats(), x);
}
HWY_INLINE V load_floats(const bf16* x) {
  const BitsOf<Floats> du;
  const hn::Rebind<uint16_t, Floats> dh;
  const auto bits = hn::LoadU(dh, reinterpret_cast<const uint16_t*>(x));
  return hn::BitCast(Floats(), hn::ShiftLeft<16>(hn::PromoteTo(du, bits)));
}
HWY_INLINE V load_floats(const f16* x) {
  const hn::Rebind<hwy::float16_t, Floats> dh;
  return hn::PromoteTo(Floats(), hn::LoadU(dh, reinterpret_cast<const hwy::float16_t*>(x)));
}

/// x rounded to f16, as floats.
template <class T>
HWY_INLINE V load_as_f16(const T* x) {
  if constexpr (std::is_same_v<T, f16>) {
    return load_floats(x);
  } else if constexpr (kLanes == 1) {  // Highway cuts off where the machine has no conversion
    return hn::Set(Floats(), to_float(to_f16(to_float(*x))));
  } else {
    const hn::Rebind<hwy::float16_t, Floats> dh;
    return hn::PromoteTo(Floats(), hn::DemoteTo(dh, load_floats(x)));
  }
}

/// body(register, first element, elements) over a row; what is left is padded with zeros.
template <class T, class Body>
HWY_INLINE void for_row(const T* x, int64_t width, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) body(load_as_f16(x + i), i, kLanes);
  if (i == width) return;
  T rest[kLanes] = {};
  std::copy(x + i, x + width, rest);
  body(load_as_f16(rest), i, width - i);
}

template <class T>
void quantize_int8_range(const QuantizeInt8& op, int64_t begin, int64_t end) {
  const BitsOf<Floats> du;
  const hn::Rebind<int8_t, Floats> db;
  const int64_t width = op.weight.dim(1);
  for (int64_t r = begin; r < end; ++r) {
    const T* x = op.weight.as<T>() + r * width;
    int8_t* codes = op.codes.as<int8_t>() + r * width;
    VU most = hn::Zero(du);
    for_row(x, width, [&](V v, int64_t, int64_t) {
      most = hn::Max(most, hn::And(hn::BitCast(du, v), hn::Set(du, 0x7fffffffu)));
    });
    const auto absmax = std::bit_cast<float>(hn::GetLane(hn::MaxOfLanes(du, most)));
    op.row_scale.as<float>()[r] = absmax;
    // Rounded twice, as torch divides a number by a tensor. A row of zeros would be 0 * infinity.
    const auto factor = hn::Set(Floats(), absmax > 0.0f ? 1.0f / absmax * 127.0f : 0.0f);
    for_row(x, width, [&](V v, int64_t i, int64_t count) {
      const auto code = hn::DemoteTo(db, hn::NearestInt(hn::Mul(v, factor)));
      if (kLanes == 1 || count == kLanes) return hn::StoreU(code, db, codes + i);
      int8_t rest[kLanes];
      hn::StoreU(code, db, rest);
      std::copy_n(rest, count, codes + i);
    });
  }
}

void quantize_int8_rows(const QuantizeInt8& op, int64_t begin, int64_t end) {
  switch (op.weight.dtype) {
    case Dtype::kF32:
      return quantize_int8_range<float>(op, begin, end);
    case Dtype::kBf16:
      return quantize_int8_range<bf16>(op, begin, end);
    default:
      return quantize_int8_range<f16>(op, begin, end);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(quantize_blocks);
HWY_EXPORT(quantize_dynamic_blocks);
HWY_EXPORT(quantize_int8_rows);
}  // namespace

namespace cpu {

void quantize_4bit(const Quantize4bit& op, Stream) {
  static const Ranking rankings[] = {Ranking(QuantType::kNf4), Ranking(QuantType::kFp4)};
  const Ranking& ranking = rankings[op.type == QuantType::kNf4 ? 0 : 1];
  parallel_for(ceil_div(op.weight.elements(), op.block), row_grain(op.block),
               [&](int64_t begin, int64_t end) {
                 NIBBLE_SIMD(quantize_blocks)(op, ranking, begin, end);
               });
}

void quantize_dynamic8bit(const QuantizeDynamic8bit& op, Stream) {
  parallel_for(ceil_div(op.values.dim(0), kDynamicBlock), row_grain(kDynamicBlock),
               [&op](int64_t begin, int64_t end) {
                 NIBBLE_SIMD(quantize_dynamic_blocks)(op, begin, end);
               });
}

void quantize_int8(const QuantizeInt8& op, Stream) {
  parallel_for(op.weight.dim(0), row_grain(op.weight.dim(1)), [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(quantize_int8_rows)(op, begin, end);
  });
}

}  // namespace cpu

void quantize_4bit(const Quantize4bit& op, Stream stream) {
  const Args args("quantize_4bit", stream);
  args.require(op.type != QuantType::kInt8, "the type is int8");
  args.require(op.block >= 32 && op.block <= 4096 && std::has_single_bit(uint64_t(op.block)),
               "the block is no power of two from 32 to 4096");
  args.require(op.weight.rank == 2 && op.weight.elements() > 0, "weight is no matrix");
  args.check_like("weight", op.weight, {Dtype::kF32, Dtype::kBf16, Dtype::kF16}, op.weight);
  const int64_t n = op.weight.elements();
  args.check("codes", op.codes, {Dtype::kU8}, {ceil_div<int64_t>(n, 2)});
  args.check("absmax", op.absmax, {Dtype::kF32}, {ceil_div(n, op.block)});
  NIBBLE_CALL_TWIN(args, quantize_4bit, op, stream);
}

void quantize_dynamic8bit(const QuantizeDynamic8bit& op, Stream stream) {
  const Args args("quantize_dynamic8bit", stream);
  args.require(op.values.rank == 1 && op.values.elements() > 0, "values is no vector");
  const int64_t n = op.values.dim(0);
  args.check("values", op.values, {Dtype::kF32}, {n});
  args.check("codes", op.codes, {Dtype::kU8}, {n});
  args.check("absmax", op.absmax, {Dtype::kF32}, {ceil_div(n, kDynamicBlock)});
  NIBBLE_CALL_TWIN(args, quantize_dynamic8bit, op, stream);
}

void quantize_int8(const QuantizeInt8& op, Stream stream) {
  const Args args("quantize_int8", stream);
  args.require(op.weight.rank == 2 && op.weight.elements() > 0, "weight is no matrix");
  args.check_like("weight", op.weight, {Dtype::kF32, Dtype::kBf16, Dtype::kF16}, op.weight);
  args.check("codes", op.codes, {Dtype::kI8}, {op.weight.dim(0), op.weight.dim(1)});
  args.check("row_scale", op.row_scale, {Dtype::kF32}, {op.weight.dim(0)});
  NIBBLE_CALL_TWIN(args, quantize_int8, op, stream);
}

}  // namespace nibble
#endif
