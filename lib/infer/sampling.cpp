// SPDX-License-Identifier: Apache-2.0
#include "infer/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/rng.h"

namespace nibble {
namespace {

constexpr float kRemoved = -std::numeric_limits<float>::infinity();

// The maximum, the first of equals.
int32_t largest(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

void keep_top_k(std::span<float> logits, size_t k, std::vector<int32_t>& order) {
  if (k >= logits.size()) return;
  const auto greater = [&](int32_t a, int32_t b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  };
  std::nth_element(order.begin(), order.begin() + static_cast<ptrdiff_t>(k) - 1, order.end(),
                   greater);
  // As in transformers, ties with the k-th stay.
  const float least = logits[static_cast<size_t>(order[k - 1])];
  for (float& x : logits)
    if (x < least) x = kRemoved;
}

// Removes the tail whose probabilities together stay within 1 - p.
void keep_top_p(std::span<float> logits, double p, std::vector<int32_t>& order) {
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return logits[static_cast<size_t>(a)] < logits[static_cast<size_t>(b)];
  });
  const double top = static_cast<double>(logits[static_cast<size_t>(order.back())]);
  double total = 0.0, below = 0.0;
  for (const float x : logits) total += std::exp(static_cast<double>(x) - top);
  for (size_t i = 0; i + 1 < order.size(); ++i) {
    float& x = logits[static_cast<size_t>(order[i])];
    below += std::exp(static_cast<double>(x) - top) / total;
    if (below > 1.0 - p) return;
    x = kRemoved;
  }
}

}  // namespace

Sampler::Sampler(const SamplingOptions& options, int64_t vocab_size)
    : options_(options),
      order_(static_cast<size_t>(vocab_size)),
      marked_(static_cast<size_t>(vocab_size)) {}

int32_t Sampler::next(std::span<float> logits, std::span<const int32_t> seen, uint64_t sequence) {
  if (options_.repetition_penalty != 1.0) {
    const auto penalty = static_cast<float>(options_.repetition_penalty);
    for (const int32_t id : seen) {
      const auto i = static_cast<size_t>(id);
      if (i >= logits.size() || marked_[i]) continue;
      marked_[i] = 1;
      logits[i] = logits[i] < 0 ? logits[i] * penalty : logits[i] / penalty;
    }
    for (const int32_t id : seen)
      if (static_cast<size_t>(id) < marked_.size()) marked_[static_cast<size_t>(id)] = 0;
  }
  if (options_.temperature <= 0.0) return largest(logits);

  for (float& x : logits) x /= static_cast<float>(options_.temperature);
  std::iota(order_.begin(), order_.end(), 0);
  if (options_.top_k > 0) keep_top_k(logits, static_cast<size_t>(options_.top_k), order_);
  if (options_.top_p < 1.0) keep_top_p(logits, options_.top_p, order_);
  const auto top = static_cast<double>(logits[static_cast<size_t>(largest(logits))]);
  if (options_.min_p > 0.0)
    for (float& x : logits)
      if (std::exp(static_cast<double>(x) - top) < options_.min_p) x = kRemoved;

  double total = 0.0;
  for (const float x : logits) total += std::exp(static_cast<double>(x) - top);
  Rng rng(options_.seed, (static_cast<uint64_t>(RngStream::kSample) << 48) ^ (sequence << 24) ^
                             static_cast<uint64_t>(seen.size()));
  double left = rng.uniform() * total;
  int32_t chosen = largest(logits);
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp(static_cast<double>(logits[i]) - top);
    if (weight <= 0.0) continue;
    chosen = static_cast<int32_t>(i);
    left -= weight;
    if (left < 0.0) break;
  }
  return chosen;
}

}  // namespace nibble
