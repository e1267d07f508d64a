// SPDX-License-Identifier: Apache-2.0
// adamw8bit. A block's moments are widened, updated and narrowed while they are in cache. The order
// of every operation, fused or not, is that of bitsandbytes' CPU path (torch's elementwise ops):
// codes are compared against it byte for byte.
#include <cmath>
#include <cstring>

#include "kernels/args.h"
#include "kernels/code_books.h"
#include "kernels/optimizer.h"
#include "kernels/segment_blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/adamw8bit.cpp"
#include <hwy/foreach_target.h>

#include "kernels/dynamic8bit-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::ScalableTag<float>;
using V = hn::Vec<Floats>;
constexpr int64_t kLanes = HWY_LANES(float);

/// One block's numbers, padded with zeros to the full block.
struct Block {
  HWY_ALIGN float p[kStateBlock], g[kStateBlock], m[kStateBlock], v[kStateBlock];
};

struct Factors {
  double rate, correction1, correction2;  // learning rate, 1 - b1^t, sqrt(1 - b2^t)
};

V set(double x) {
  return hn::Set(Floats(), static_cast<float>(x));
}

/// m, v and p of `count` elements (rounded up to registers) from g. The two forms round apart:
/// bitsandbytes computes small tensors as m / (sqrt(v) + eps c2) times -lr c2/c1.
template <bool kSmall>
HWY_INLINE void update(const AdamW8bit& op, const Factors& f, double decay, int64_t count,
                       Block& b) {
  const Floats d;
  const V scale = hn::Set(d, op.gradient_scale);
  const V b1 = set(op.beta1), b2 = set(op.beta2), c1 = set(1.0 - op.beta1),
          c2 = set(1.0 - op.beta2);
  const V keep = set(1.0 - f.rate * decay), root_correction = set(f.correction2);
  const V epsilon = set(kSmall ? op.epsilon * f.correction2 : op.epsilon);
  const V rate = set(kSmall ? -f.rate * f.correction2 / f.correction1 : -f.rate / f.correction1);
  for (int64_t i = 0; i < count; i += kLanes) {
    const V g = hn::Mul(hn::Load(d, b.g + i), scale);
    const V m = hn::MulAdd(c1, g, hn::Mul(hn::Load(d, b.m + i), b1));
    const V v = hn::MulAdd(hn::Mul(c2, g), g, hn::Mul(hn::Load(d, b.v + i), b2));
    V p = hn::Load(d, b.p + i);
    if (decay > 0.0) p = hn::Mul(p, keep);
    if constexpr (kSmall)
      p = hn::MulAdd(rate, hn::Div(m, hn::Add(hn::Sqrt(v), epsilon)), p);
    else
      p = hn::Add(
          p, hn::Div(hn::Mul(rate, m), hn::Add(hn::Div(hn::Sqrt(v), root_correction), epsilon)));
    hn::Store(m, d, b.m + i);
    hn::Store(v, d, b.v + i);
    hn::Store(p, d, b.p + i);
  }
}

void widen(const uint8_t* codes, float absmax, const std::array<float, 256>& map, int64_t count,
           float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = map[codes[i]] * absmax;
}

void adamw8bit_block_range(const AdamW8bit& op, int64_t begin, int64_t end) {
  const auto t = static_cast<double>(op.step);
  const Factors factors{.rate = op.learning_rate,
                        .correction1 = 1.0 - std::pow(op.beta1, t),
                        .correction2 = std::sqrt(1.0 - std::pow(op.beta2, t))};
  const auto& m_map = dynamic_map(DynamicMap::kSigned);
  const auto& v_map = dynamic_map(DynamicMap::kUnsigned);
  const auto& m_grid = dynamic_grid(DynamicMap::kSigned);
  const auto& v_grid = dynamic_grid(DynamicMap::kUnsigned);
  Block b;
  walk_blocks(op.segments, begin, end, [&](const BlockRun& run) {
    const bool small = run.segment->count < kSmallSegment;
    for (int64_t i = 0; i < run.count; i += kStateBlock) {
      const int64_t count = std::min(kStateBlock, run.count - i), at = run.first + i;
      const size_t bytes = static_cast<size_t>(count) * sizeof(float);
      if (count < kStateBlock) std::memset(&b, 0, sizeof b);
      std::memcpy(b.p, op.values.as<float>() + at, bytes);
      std::memcpy(b.g, op.gradients.as<float>() + at, bytes);
      if (small) {
        float* m = op.m_small.as<float>() + run.small + i;
        float* v = op.v_small.as<float>() + run.small + i;
        std::memcpy(b.m, m, bytes);
        std::memcpy(b.v, v, bytes);
        update<true>(op, factors, run.segment->weight_decay, count, b);
        std::memcpy(m, b.m, bytes);
        std::memcpy(v, b.v, bytes);
      } else {
        const int64_t block = run.block + i / kStateBlock;
        uint8_t* m_codes = op.m_codes.as<uint8_t>() + at;
        uint8_t* v_codes = op.v_codes.as<uint8_t>() + at;
        float& m_absmax = op.m_absmax.as<float>()[block];
        float& v_absmax = op.v_absmax.as<float>()[block];
        widen(m_codes, m_absmax, m_map, count, b.m);
        widen(v_codes, v_absmax, v_map, count, b.v);
        update<false>(op, factors, run.segment->weight_decay, count, b);
        m_absmax = narrow_dynamic(b.m, m_grid, count, m_codes);
        v_absmax = narrow_dynamic(b.v, v_grid, count, v_codes);
      }
      std::memcpy(op.values.as<float>() + at, b.p, bytes);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(adamw8bit_block_range);
}  // namespace

int64_t adamw8bit_blocks(std::span<const ParameterRange> segments) {
  int64_t blocks = 0;
  for (const ParameterRange& s : segments)
    if (s.count >= kSmallSegment) blocks += ceil_div(s.count, kStateBlock);
  return blocks;
}

int64_t adamw8bit_small(std::span<const ParameterRange> segments) {
  int64_t elements = 0;
  for (const ParameterRange& s : segments)
    if (s.count < kSmallSegment) elements += s.count;
  return elements;
}

namespace {

/// Checks all but the gradients.
void check_state(const Args& args, const AdamW8bit& op) {
  args.require(op.values.rank == 1, "values is no vector");
  const int64_t elements = op.values.dim(0);
  args.check("values", op.values, {Dtype::kF32}, {elements});
  const int64_t blocks = adamw8bit_blocks(op.segments), small = adamw8bit_small(op.segments);
  check_segments(args, op.segments, elements);
  const auto sized = [&](const char* field, const Tensor& t, Dtype dtype, int64_t count) {
    if (count > 0) args.check(field, t, {dtype}, {count});
  };
  sized("m_codes", op.m_codes, Dtype::kU8, blocks > 0 ? elements : 0);
  sized("v_codes", op.v_codes, Dtype::kU8, blocks > 0 ? elements : 0);
  sized("m_absmax", op.m_absmax, Dtype::kF32, blocks);
  sized("v_absmax", op.v_absmax, Dtype::kF32, blocks);
  sized("m_small", op.m_small, Dtype::kF32, small);
  sized("v_small", op.v_small, Dtype::kF32, small);
}

}  // namespace

namespace cpu {

void adamw8bit(const AdamW8bit& given, Stream) {
  const auto op = clipped(given);
  if (!std::isfinite(op.gradient_scale)) return;
  parallel_blocks(op.segments, [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(adamw8bit_block_range)(op, begin, end);
  });
}

}  // namespace cpu

void adamw8bit(const AdamW8bit& op, Stream stream) {
  const Args args("adamw8bit", stream);
  check_state(args, op);
  args.check_like("gradients", op.gradients, {Dtype::kF32}, op.values);
  args.require(op.step >= 1, "step starts at 1");
  if (op.clip) args.check("clip", op.clip, {Dtype::kF32}, {1});
  NIBBLE_CALL_TWIN(args, adamw8bit, op, stream);
}

}  // namespace nibble
#endif
