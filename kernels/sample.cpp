// SPDX-License-Identifier: Apache-2.0
#include "kernels/sample.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>

#include "kernels/args.h"
#include "kernels/sample_weight.h"
#include "kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sample.cpp"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

/// Where the first of the largest is; kNotFinite where any is not finite.
template <class T>
int32_t place_of_largest(const T* x, int64_t n) {
  constexpr int64_t kBlock = 1024;  // of which the largest one's is looked through again
  float best = to_float(x[0]);
  int64_t block = 0;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    Vec top = set(best), sum = zero();  // of x * 0: not a number where x is not finite
    for_vectors(std::min(kBlock, n - begin), [&](int64_t i, auto part) {
      const Vec v = load(x + begin + i, part);
      sum = hn::MulAdd(v, zero(), sum);
      // What a part's other lanes hold is no element.
      if constexpr (std::is_same_v<decltype(part), Part>)
        top = hn::Max(top, hn::IfThenElse(hn::FirstN(F32(), part.count), v, top));
      else
        top = hn::Max(top, v);
    });
    if (hn::GetLane(hn::SumOfLanes(F32(), sum)) != 0.0f) return kNotFinite;
    const float most = hn::GetLane(hn::MaxOfLanes(F32(), top));
    if (!(most > best)) continue;
    best = most;
    block = begin;
  }
  while (!(to_float(x[block]) == best)) ++block;
  return static_cast<int32_t>(block);
}

int32_t largest_of(Dtype dtype, const void* x, int64_t n) {
  int32_t place = 0;
  with_float(dtype, [&](auto element) {
    place = place_of_largest(static_cast<const decltype(element)*>(x), n);
  });
  return place;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(largest_of);

constexpr float kRemoved = -std::numeric_limits<float>::infinity();

void keep_top_k(std::span<float> x, size_t k, std::span<int32_t> order) {
  if (k >= x.size()) return;
  const auto greater = [&](int32_t a, int32_t b) {
    return x[static_cast<size_t>(a)] > x[static_cast<size_t>(b)];
  };
  std::iota(order.begin(), order.end(), 0);
  std::nth_element(order.begin(), order.begin() + static_cast<ptrdiff_t>(k) - 1, order.end(),
                   greater);
  // As in transformers, ties with the k-th stay.
  const float least = x[static_cast<size_t>(order[k - 1])];
  for (float& value : x)
    if (value < least) value = kRemoved;
}

uint64_t total_weight(std::span<const float> x, float top) {
  uint64_t total = 0;
  for (const float value : x) total += sample_weight(value, top);
  return total;
}

void keep_top_p(std::span<float> x, float top, double p, std::span<int32_t> order) {
  const uint64_t total = total_weight(x, top);
  uint64_t left = total - top_p_need(p, total);  // may go
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    const float p_a = x[static_cast<size_t>(a)], p_b = x[static_cast<size_t>(b)];
    return p_a < p_b || (p_a == p_b && a < b);
  });
  for (const int32_t id : order) {
    float& value = x[static_cast<size_t>(id)];
    const uint64_t weight = sample_weight(value, top);
    if (weight > left) return;
    left -= weight;
    value = kRemoved;
  }
}

template <class T>
void read_row(const Sample& op, int64_t b, std::span<float> x) {
  const T* logits = op.logits.as<T>() + b * op.logits.dim(1);
  for (size_t i = 0; i < x.size(); ++i) x[i] = to_float(logits[i]);
  if (!op.seen) return;
  const int32_t* seen = op.seen.as<int32_t>() + b * op.seen.dim(1);
  for (size_t i = 0; i < x.size(); ++i)
    if (static_cast<uint32_t>(seen[i / 32]) >> i % 32 & 1)
      x[i] = x[i] < 0 ? x[i] * op.repetition_penalty : x[i] / op.repetition_penalty;
}

int32_t choose(const Sample& op, int64_t b, std::span<float> x, std::span<int32_t> order) {
  const auto v = static_cast<int64_t>(x.size());
  if (op.temperature <= 0.0f && !op.seen && !op.processed)
    return NIBBLE_SIMD(largest_of)(op.logits.dtype, rows(op.logits, b, 1).data, v);
  if (op.logits.dtype == Dtype::kBf16)
    read_row<bf16>(op, b, x);
  else
    read_row<float>(op, b, x);
  if (op.temperature > 0.0f)
    for (float& value : x) value /= op.temperature;
  const int32_t largest = NIBBLE_SIMD(largest_of)(Dtype::kF32, x.data(), v);
  if (largest == kNotFinite || op.temperature <= 0.0f) return largest;

  const float top = x[static_cast<size_t>(largest)];
  if (op.top_k > 0) keep_top_k(x, static_cast<size_t>(op.top_k), order);
  if (op.top_p < 1.0) keep_top_p(x, top, op.top_p, order);
  if (op.min_p > 0.0)
    for (float& value : x)
      if (sample_weight(value, top) < min_p_weight(op.min_p)) value = kRemoved;

  uint64_t left = sample_target(op.seed, op.sequences.as<int32_t>()[b], op.lengths.as<int32_t>()[b],
                                total_weight(x, top));
  for (size_t i = 0;; ++i) {
    const uint64_t weight = sample_weight(x[i], top);
    if (left < weight) return static_cast<int32_t>(i);
    left -= weight;
  }
}

}  // namespace

namespace cpu {

void sample(const Sample& op, Stream) {
  const auto v = static_cast<size_t>(op.logits.dim(1));
  float* const scratch = op.scratch.as<float>();
  for (int64_t b = 0; b < op.chosen.dim(0); ++b) {
    int32_t& chosen = op.chosen.as<int32_t>()[b];
    float* const kept =
        op.processed ? op.processed.as<float>() + b * op.processed.dim(1) : scratch + v;
    if (op.lengths.as<int32_t>()[b] == 0) {
      chosen = 0;
      if (op.processed) std::fill_n(kept, v, kRemoved);
    } else {
      chosen = choose(op, b, {kept, v}, {reinterpret_cast<int32_t*>(scratch), v});
    }
  }
}

void advance_rows(const AdvanceRows& op, Stream) {
  for (int64_t b = 0; b < op.ids.dim(0); ++b) {
    int32_t& length = op.lengths.as<int32_t>()[b];
    const int32_t token = std::max(0, op.chosen.as<int32_t>()[b]);
    op.ids.as<int32_t>()[b] = token;
    op.positions.as<int32_t>()[b] = length;
    if (length == 0) continue;
    ++length;
    if (op.seen) {
      int32_t& word = op.seen.as<int32_t>()[b * op.seen.dim(1) + token / 32];
      word = static_cast<int32_t>(static_cast<uint32_t>(word) | 1u << token % 32);
    }
  }
}

}  // namespace cpu

int64_t sample_scratch(int64_t b, int64_t v, Device device) {
  return device.on_cuda() ? 2 * b * kSampleParts : 2 * v;
}

void sample(const Sample& op, Stream stream) {
  const Args args("sample", stream);
  args.require(op.logits.rank == 2, "logits is not a matrix");
  const int64_t b = op.logits.dim(0), v = op.logits.dim(1);
  args.require(v > 0 && v <= int64_t{1} << 20, "the vocabulary is not 1 to 2^20");
  args.check("logits", op.logits, NIBBLE_FLOATS, {b, v});
  args.check("chosen", op.chosen, {Dtype::kI32}, {b});
  args.check("lengths", op.lengths, {Dtype::kI32}, {b});
  args.check("sequences", op.sequences, {Dtype::kI32}, {b});
  if (op.processed) args.check("processed", op.processed, {Dtype::kF32}, {b, v});
  if (op.seen) args.check("seen", op.seen, {Dtype::kI32}, {b, seen_words(v)});
  args.require(op.seen || op.repetition_penalty == 1.0f, "a penalty without what was seen");
  args.require(op.repetition_penalty > 0.0f, "the penalty is not positive");
  args.require(op.top_k >= 0 && op.top_p >= 0.0 && op.top_p <= 1.0, "top_k or top_p is no such");
  args.require(op.min_p >= 0.0 && op.min_p <= 1.0, "min_p is not in [0, 1]");
  args.require(op.scratch.rank == 1, "scratch is absent");
  args.check("scratch", op.scratch, {Dtype::kF32}, {op.scratch.dim(0)});
  args.require(op.scratch.elements() >= sample_scratch(b, v, stream.device),
               "scratch is too small");
  double bytes = tensor_bytes(op.logits);  // scratch is touched by some settings only
  if (op.processed) bytes += tensor_bytes(op.processed);
  if (op.seen) bytes += tensor_bytes(op.seen);
  args.work(0.0, bytes);
  if (b > 0) NIBBLE_CALL_TWIN(args, sample, op, stream);
}

void advance_rows(const AdvanceRows& op, Stream stream) {
  const Args args("advance_rows", stream);
  args.require(op.ids.rank == 1, "ids is no vector");
  const int64_t b = op.ids.dim(0);
  args.check("ids", op.ids, {Dtype::kI32}, {b});
  args.check("positions", op.positions, {Dtype::kI32}, {b});
  args.check("lengths", op.lengths, {Dtype::kI32}, {b});
  args.check("chosen", op.chosen, {Dtype::kI32}, {b});
  if (op.seen) args.check("seen", op.seen, {Dtype::kI32}, {b, op.seen.dim(1)});
  // Of a row five numbers, one of them read and written, and one word of what was seen.
  args.work(0.0, sizeof(int32_t) * static_cast<double>(b) * (op.seen ? 7.0 : 5.0));
  if (b > 0) NIBBLE_CALL_TWIN(args, advance_rows, op, stream);
}

}  // namespace nibble
#endif  // HWY_ONCE
