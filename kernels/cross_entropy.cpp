// SPDX-License-Identifier: Apache-2.0
#include "kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/threads.h"
#include "kernels/args.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cross_entropy.cpp"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

/// The greatest of x. A NaN may be passed over: the sum that follows becomes NaN by itself.
template <class T>
HWY_INLINE float row_maximum(const T* x, int64_t v) {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  Vec greatest = set(kLowest), second = greatest;
  const auto larger = [](Vec a, Vec b) { return hn::IfThenElse(hn::Gt(a, b), a, b); };
  int64_t i = 0;
  for (; i + 2 * kLanes <= v; i += 2 * kLanes) {
    greatest = larger(greatest, load(x + i, Whole{}));
    second = larger(second, load(x + i + kLanes, Whole{}));
  }
  float lanes[kLanes];
  hn::StoreU(larger(greatest, second), F32(), lanes);
  float top = *std::max_element(lanes, lanes + kLanes);
  for (; i < v; ++i) top = std::max(top, to_float(x[i]));
  return top;
}

/// One row: its loss, and where dlogits is there, its gradient. The row stays in the cache between
/// the passes: the maximum, the sum of exponentials, the gradient.
template <class T>
float row_loss(const T* logits, T* dlogits, int32_t target, float grad_scale, int64_t v) {
  // Sums of 4096 terms in fp32, their total in double: long vocabularies lose nothing.
  constexpr int64_t kChunk = 4096;
  const float top = row_maximum(logits, v);
  const float target_logit = to_float(logits[target]);
  double total = 0.0;
  for (int64_t first = 0; first < v; first += kChunk)
    total += sum_vectors(std::min(kChunk, v - first), [&](int64_t i, auto part) {
      return keep(exp_up_to_88(hn::Sub(load(logits + first + i, part), set(top))), part);
    });
  const float log_total = static_cast<float>(std::log(total));
  if (dlogits) {
    const Vec scale = set(static_cast<float>(grad_scale / total));
    const float target_p = std::exp(target_logit - top) / static_cast<float>(total);
    for_vectors(v, [&](int64_t i, auto part) {
      const Vec e = exp_up_to_88(hn::Sub(load(logits + i, part), set(top)));
      store(hn::Mul(e, scale), dlogits + i, part);
    });
    dlogits[target] = from_float<T>((target_p - 1.0f) * grad_scale);
  }
  return log_total + (top - target_logit);
}

template <class T>
void losses(const CrossEntropy& op, int64_t begin, int64_t end) {
  const int64_t v = op.logits.dim(1);
  const float scale = op.grad_scale * (op.scale ? *op.scale.as<float>() : 1.0f);
  for (int64_t m = begin; m < end; ++m) {
    const int32_t target = op.targets.as<int32_t>()[m];
    T* const dlogits = op.dlogits ? op.dlogits.as<T>() + m * v : nullptr;
    float& loss = op.losses.as<float>()[m];
    if (target == kNoTarget) {
      loss = 0.0f;
      if (dlogits) std::fill_n(dlogits, v, T{});
    } else {
      loss = row_loss(op.logits.as<T>() + m * v, dlogits, target, scale, v);
    }
  }
}

void loss_rows(const CrossEntropy& op, int64_t begin, int64_t end) {
  with_float(op.logits.dtype, [&](auto t) { losses<decltype(t)>(op, begin, end); });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(loss_rows);
}  // namespace

namespace cpu {

void cross_entropy(const CrossEntropy& op, Stream) {
  const int32_t* targets = op.targets.as<int32_t>();
  const int64_t v = op.logits.dim(1);
  CHECK(std::all_of(targets, targets + op.targets.dim(0),
                    [v](int32_t t) { return t >= kNoTarget && t < v; }));
  parallel_pieces(op.logits.dim(0), row_grain(op.logits.dim(1)), [&op](int64_t begin, int64_t end) {
    NIBBLE_SIMD(loss_rows)(op, begin, end);
  });
}

void add_sum(const AddSum& op, Stream) {
  const float* x = op.in.as<float>();
  *op.out.as<double>() += std::accumulate(x, x + op.in.dim(0), 0.0);
}

}  // namespace cpu

void cross_entropy(const CrossEntropy& op, Stream stream) {
  const Args args("cross_entropy", stream);
  args.require(op.logits.rank == 2, "logits is not a matrix");
  const int64_t m = op.logits.dim(0), v = op.logits.dim(1);
  args.check("logits", op.logits, NIBBLE_FLOATS, {m, v});
  args.check("losses", op.losses, {Dtype::kF32}, {m});
  args.check("targets", op.targets, {Dtype::kI32}, {m});
  if (op.dlogits) args.check("dlogits", op.dlogits, {op.logits.dtype}, {m, v});
  if (op.scale) args.check("scale", op.scale, {Dtype::kF32}, {1});
  NIBBLE_CALL_TWIN(args, cross_entropy, op, stream);
}

void add_sum(const AddSum& op, Stream stream) {
  const Args args("add_sum", stream);
  args.require(op.in.rank == 1, "in is no vector");
  args.check_like("in", op.in, {Dtype::kF32}, op.in);
  args.check("out", op.out, {Dtype::kF64}, {1});
  if (op.in.elements() > 0) NIBBLE_CALL_TWIN(args, add_sum, op, stream);
}

}  // namespace nibble
#endif  // HWY_ONCE
