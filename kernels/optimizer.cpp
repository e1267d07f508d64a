// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimizer.h"

#include <cmath>
#include <limits>

#include "kernels/segment_blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/optimizer.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::ScalableTag<float>;
constexpr int64_t kLanes = HWY_LANES(float);

/// body(arrays) over whole registers; what is left passes through padded copies, so that every
/// element is computed alike. Arrays may be null.
template <size_t kArrays, class Body>
HWY_INLINE void for_registers(std::array<float*, kArrays> arrays, int64_t count, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    std::array<float*, kArrays> at;
    for (size_t a = 0; a < kArrays; ++a) at[a] = arrays[a] ? arrays[a] + i : nullptr;
    body(at);
  }
  if (i == count) return;
  HWY_ALIGN float padded[kArrays][kLanes] = {};
  std::array<float*, kArrays> at;
  for (size_t a = 0; a < kArrays; ++a) {
    at[a] = arrays[a] ? padded[a] : nullptr;
    if (arrays[a]) std::copy(arrays[a] + i, arrays[a] + count, padded[a]);
  }
  body(at);
  for (size_t a = 0; a < kArrays; ++a)
    if (arrays[a]) std::copy(padded[a], padded[a] + (count - i), arrays[a] + i);
}

void adamw_blocks(const AdamW& op, int64_t begin, int64_t end) {
  const Floats d;
  const auto t = static_cast<double>(op.step);
  const double correction1 = 1.0 - std::pow(op.beta1, t);
  const double correction2 = std::sqrt(1.0 - std::pow(op.beta2, t));
  const auto set = [&](double x) { return hn::Set(d, static_cast<float>(x)); };
  const auto scale = hn::Set(d, op.gradient_scale);
  const auto b1 = set(op.beta1), b2 = set(op.beta2), c1 = set(1.0 - op.beta1),
             c2 = set(1.0 - op.beta2);
  const auto root_correction = set(correction2), epsilon = set(op.epsilon);
  const auto rate = set(-op.learning_rate / correction1);
  walk_blocks(op.segments, begin, end, [&](const BlockRun& run) {
    const auto keep = set(1.0 - op.learning_rate * run.segment->weight_decay);
    const auto at = [&](const Tensor& x) { return x.as<float>() + run.first; };
    for_registers<4>({at(op.values), at(op.gradients), at(op.m), at(op.v)}, run.count,
                     [&](const std::array<float*, 4>& a) {
                       const auto g = hn::Mul(hn::LoadU(d, a[1]), scale);
                       const auto m = hn::MulAdd(c1, g, hn::Mul(b1, hn::LoadU(d, a[2])));
                       const auto v =
                           hn::MulAdd(hn::Mul(c2, g), g, hn::Mul(b2, hn::LoadU(d, a[3])));
                       const auto root = hn::Div(hn::Sqrt(v), root_correction);
                       const auto p = hn::Mul(hn::LoadU(d, a[0]), keep);
                       const auto change = hn::Div(hn::Mul(rate, m), hn::Add(root, epsilon));
                       hn::StoreU(m, d, a[2]);
                       hn::StoreU(v, d, a[3]);
                       hn::StoreU(hn::Add(p, change), d, a[0]);
                     });
  });
}

void sgd_blocks(const Sgd& op, int64_t begin, int64_t end) {
  const Floats d;
  const auto scale = hn::Set(d, op.gradient_scale);
  const auto rate = hn::Set(d, static_cast<float>(-op.learning_rate));
  const auto beta = hn::Set(d, static_cast<float>(op.beta));
  const bool first = op.step == 1;
  walk_blocks(op.segments, begin, end, [&](const BlockRun& run) {
    const auto decay = hn::Set(d, run.segment->weight_decay);
    const auto at = [&](const Tensor& x) { return x ? x.as<float>() + run.first : nullptr; };
    for_registers<3>({at(op.values), at(op.gradients), at(op.momentum)}, run.count,
                     [&](const std::array<float*, 3>& a) {
                       const auto p = hn::LoadU(d, a[0]);
                       auto change = hn::MulAdd(decay, p, hn::Mul(hn::LoadU(d, a[1]), scale));
                       if (a[2] != nullptr) {
                         if (!first) change = hn::MulAdd(beta, hn::LoadU(d, a[2]), change);
                         hn::StoreU(change, d, a[2]);
                       }
                       hn::StoreU(hn::MulAdd(rate, change, p), d, a[0]);
                     });
  });
}

/// The sum of squares of x[0, count), in eight lanes whatever the register. A square of a float is
/// exact in double, so fused and separate arithmetic agree.
double sum_of_squares(const float* x, int64_t count) {
  constexpr int64_t kSums = 8;
  const hn::CappedTag<double, 8> d;
  const hn::Rebind<float, decltype(d)> df;
  constexpr int64_t kWidth = HWY_MIN(HWY_LANES(double), kSums);
  hn::Vec<decltype(d)> sum[kSums / kWidth];
  for (auto& s : sum) s = hn::Zero(d);
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums)
    for (int64_t k = 0; k < kSums / kWidth; ++k) {
      const auto v = hn::PromoteTo(d, hn::LoadU(df, x + i + k * kWidth));
      sum[k] = hn::MulAdd(v, v, sum[k]);
    }
  double lanes[kSums];
  for (int64_t k = 0; k < kSums / kWidth; ++k) hn::StoreU(sum[k], d, lanes + k * kWidth);
  for (int64_t k = 0; i < count; ++i, ++k) lanes[k] += static_cast<double>(x[i]) * x[i];
  double total = 0.0;
  for (const double lane : lanes) total += lane;
  return total;
}

}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(adamw_blocks);
HWY_EXPORT(sgd_blocks);
HWY_EXPORT(sum_of_squares);

void check_flat(const Args& args, const Tensor& values, std::span<const ParameterRange> segments,
                int64_t step, const Tensor& clip) {
  args.require(values.rank == 1, "values is no vector");
  args.check_like("values", values, {Dtype::kF32}, values);
  check_segments(args, segments, values.dim(0));
  args.require(step >= 1, "step starts at 1");
  if (clip) args.check("clip", clip, {Dtype::kF32}, {1});
}

}  // namespace

double clip_factor(double norm, double limit) {
  if (!std::isfinite(norm)) return std::numeric_limits<double>::quiet_NaN();
  return limit > 0 ? std::min(1.0, limit / (norm + 1e-6)) : 1.0;
}

namespace cpu {

void adamw(const AdamW& given, Stream) {
  const auto op = clipped(given);
  if (!std::isfinite(op.gradient_scale)) return;
  parallel_blocks(op.segments, [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(adamw_blocks)(op, begin, end);
  });
}

void sgd(const Sgd& given, Stream) {
  const auto op = clipped(given);
  if (!std::isfinite(op.gradient_scale)) return;
  parallel_blocks(op.segments, [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(sgd_blocks)(op, begin, end);
  });
}

void l2_norm(const L2Norm& op, Stream) {
  // A fixed number of parts, summed in order: threads only share them out.
  constexpr int64_t kParts = 64;
  const float* x = op.in.as<float>();
  const int64_t n = op.in.elements();
  const int64_t length = std::max<int64_t>(4096, ceil_div(n, kParts));
  std::array<double, kParts> sums{};
  const auto body = [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p)
      sums[static_cast<size_t>(p)] =
          NIBBLE_SIMD(sum_of_squares)(x + p * length, std::min(length, n - p * length));
  };
  parallel_for(ceil_div(n, length), 1, std::cref(body));
  double total = 0.0;
  for (const double s : sums) total += s;
  const double norm = std::sqrt(total);
  if (op.out) *op.out = norm;
  if (op.norm) *op.norm.as<float>() = static_cast<float>(norm);
  if (op.clip) *op.clip.as<float>() = static_cast<float>(clip_factor(norm, op.limit));
}

}  // namespace cpu

void adamw(const AdamW& op, Stream stream) {
  const Args args("adamw", stream);
  check_flat(args, op.values, op.segments, op.step, op.clip);
  args.check_like("gradients", op.gradients, {Dtype::kF32}, op.values);
  args.check_like("m", op.m, {Dtype::kF32}, op.values);
  args.check_like("v", op.v, {Dtype::kF32}, op.values);
  NIBBLE_CALL_TWIN(args, adamw, op, stream);
}

void sgd(const Sgd& op, Stream stream) {
  const Args args("sgd", stream);
  check_flat(args, op.values, op.segments, op.step, op.clip);
  args.check_like("gradients", op.gradients, {Dtype::kF32}, op.values);
  args.require(op.momentum || op.beta == 0.0, "beta needs momentum");
  if (op.momentum) args.check_like("momentum", op.momentum, {Dtype::kF32}, op.values);
  NIBBLE_CALL_TWIN(args, sgd, op, stream);
}

void l2_norm(const L2Norm& op, Stream stream) {
  const Args args("l2_norm", stream);
  args.check_like("in", op.in, {Dtype::kF32}, op.in);
  args.require(op.in.elements() > 0, "in is empty");
  if (op.norm) args.check("norm", op.norm, {Dtype::kF32}, {1});
  if (op.clip) args.check("clip", op.clip, {Dtype::kF32}, {1});
  NIBBLE_CALL_TWIN(args, l2_norm, op, stream);
}

double l2_norm(const Tensor& tensor, Stream stream) {
  if (tensor.elements() == 0) return 0.0;
  double norm = 0.0;
  l2_norm({.in = tensor, .out = &norm}, stream);
  return norm;
}

}  // namespace nibble
#endif
