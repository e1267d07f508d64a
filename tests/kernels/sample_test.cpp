// SPDX-License-Identifier: Apache-2.0
// Sampling against the header's formulas, done the plain way: everything sorted, everything summed.
// The draw is exact, so both halves must take the very token of the reference. That the knobs are
// those of transformers, and that draws follow the probabilities, is tests/infer/sampling_test.cpp.
#include "kernels/sample.h"

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/rng.h"
#include "kernels/sample_weight.h"
#include "support/op_harness.h"

namespace nibble {
namespace {

struct Knobs {
  float temperature = 1.0f;
  int64_t top_k = 0;
  double top_p = 1.0, min_p = 0.0;
  float penalty = 1.0f;
};

struct Row {
  int32_t chosen = 0;
  std::vector<double> processed;
};

// One row; `x` are its logits as stored.
Row reference(std::vector<float> x, const std::vector<bool>& seen, const Knobs& k, uint64_t seed,
              int32_t sequence, int32_t length) {
  constexpr float kGone = -std::numeric_limits<float>::infinity();
  if (length == 0) return {0, std::vector<double>(x.size(), kGone)};
  for (size_t i = 0; i < x.size(); ++i)
    if (seen[i]) x[i] = x[i] < 0 ? x[i] * k.penalty : x[i] / k.penalty;
  std::vector<size_t> order(x.size());  // the largest first; of equals the last
  const auto sort = [&] {
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return x[a] > x[b] || (x[a] == x[b] && a > b); });
  };
  const float most = *std::max_element(x.begin(), x.end());
  if (k.temperature == 0.0f) {
    const auto first = std::find(x.begin(), x.end(), most);
    return {static_cast<int32_t>(first - x.begin()), {x.begin(), x.end()}};
  }
  for (float& value : x) value /= k.temperature;
  const float top = most / k.temperature;
  const auto weight = [&](size_t i) { return sample_weight(x[i], top); };
  const auto total = [&] {
    uint64_t sum = 0;
    for (size_t i = 0; i < x.size(); ++i) sum += weight(i);
    return sum;
  };
  sort();
  if (k.top_k > 0 && k.top_k < static_cast<int64_t>(x.size())) {
    const float least = x[order[static_cast<size_t>(k.top_k) - 1]];
    for (float& value : x)
      if (value < least) value = kGone;
  }
  if (k.top_p < 1.0) {
    uint64_t need = top_p_need(k.top_p, total()), kept = 0;
    for (const size_t i : order) {
      if (kept >= need)
        x[i] = kGone;
      else
        kept += weight(i);
    }
  }
  for (size_t i = 0; i < x.size(); ++i)
    if (weight(i) < min_p_weight(k.min_p)) x[i] = kGone;
  uint64_t left = sample_target(seed, sequence, length, total());
  size_t at = 0;
  while (weight(at) <= left) left -= weight(at++);
  return {static_cast<int32_t>(at), {x.begin(), x.end()}};
}

void expect_sampled(int64_t b, int64_t v, Dtype dtype, const Knobs& k, uint64_t seed) {
  OpCase op(
      cat("sample ", dtype_name(dtype), " ", shape_name({b, v}), " temperature ", k.temperature,
          " k ", k.top_k, " p ", k.top_p, " min ", k.min_p, " penalty ", k.penalty),
      seed);
  Buffer& chosen = op.output("chosen", Dtype::kI32, {b});
  Buffer& processed = op.output("processed", Dtype::kF32, {b, v});
  Buffer& again = op.output("chosen without processed", Dtype::kI32, {b});
  Buffer& logits = op.input("logits", dtype, {b, v});
  Buffer& lengths = op.input("lengths", Dtype::kI32, {b});
  Buffer& sequences = op.input("sequences", Dtype::kI32, {b});
  Buffer& seen = op.input("seen", Dtype::kI32, {b, seen_words(v)});
  Buffer& scratch = op.scratch(Dtype::kF32, {sample_scratch(b, v)});
  // Some far below, many equal: thresholds fall among equals too.
  logits.fill_uniform(op.rng(), -6.0, 6.0);
  for (int64_t i = 0; i < logits.size(); i += 5) logits.set(i, double(i % 4) - 1.0);
  for (int64_t i = 0; i < logits.size(); i += 7) logits.set(i, -60.0);
  std::vector<Bounded> want_chosen, want_processed;
  for (int64_t row = 0; row < b; ++row) {
    lengths.set(row, double(row % 4 == 3 ? 0 : 5 + row));
    sequences.set(row, double(1000 * row + 7));
    std::vector<bool> bits(static_cast<size_t>(v));
    std::vector<float> x;
    for (int64_t word = 0; word < seen_words(v); ++word)
      seen.set(row * seen_words(v) + word, double(static_cast<int32_t>(op.rng().next_u32())));
    for (int64_t i = 0; i < v; ++i) {
      const auto word =
          static_cast<uint32_t>(static_cast<int32_t>(seen.at(row * seen_words(v) + i / 32)));
      bits[size_t(i)] = k.penalty != 1.0f && (word >> i % 32 & 1);
      x.push_back(float(logits.at(row * v + i)));
    }
    const Row out =
        reference(x, bits, k, seed, int32_t(sequences.at(row)), int32_t(lengths.at(row)));
    want_chosen.push_back(double(out.chosen));
    for (const double value : out.processed) want_processed.push_back(value);
  }
  op.want(chosen, want_chosen);
  op.want(again, want_chosen);
  op.want(processed, want_processed);
  op.check([&] {
    Sample all = {.chosen = chosen.tensor(),
                  .processed = processed.tensor(),
                  .logits = logits.tensor(),
                  .lengths = lengths.tensor(),
                  .sequences = sequences.tensor(),
                  .seen = k.penalty != 1.0f ? seen.tensor() : Tensor{},
                  .temperature = k.temperature,
                  .top_k = k.top_k,
                  .top_p = k.top_p,
                  .min_p = k.min_p,
                  .repetition_penalty = k.penalty,
                  .seed = seed,
                  .scratch = scratch.tensor()};
    sample(all);
    all.chosen = again.tensor();
    all.processed = {};
    sample(all);
  });
}

struct Case {
  int64_t b, v;
  Dtype dtype;
};
class SampleOp : public testing::TestWithParam<Case> {};

TEST_P(SampleOp, TakesTheTokenOfTheReference) {
  const Knobs all[] = {
      {.temperature = 0.0f},
      {.temperature = 0.0f, .penalty = 1.7f},
      {},
      {.temperature = 0.3f},
      {.top_k = 1},
      {.temperature = 1.5f, .top_k = 7},
      {.top_p = 0.0},
      {.top_p = 0.6},
      {.top_p = 0.999},
      {.min_p = 0.2},
      {.min_p = 1.0},
      {.temperature = 0.8f, .top_k = 40, .top_p = 0.9, .min_p = 0.05, .penalty = 1.3f}};
  const auto& [b, v, dtype] = GetParam();
  uint64_t seed = 100 + static_cast<uint64_t>(v);
  for (const Knobs& k : all) expect_sampled(b, v, dtype, k, ++seed);
}

std::vector<Case> cases() {
  const std::pair<int64_t, int64_t> shapes[] = {{1, 1},  {2, 3},    {5, 32},   {5, 33},
                                                {2, 34}, {4, 1031}, {2, 4099}, {2, 4104}};
  std::vector<Case> out;
  for (const auto& [b, v] : shapes)
    for (const Dtype dtype : kFloatTypes) out.push_back({b, v, dtype});
  return out;
}

INSTANTIATE_TEST_SUITE_P(Shapes, SampleOp, testing::ValuesIn(cases()));

// So long that each of the blocks that seek the largest looks at several of its elements at once,
// and not all its threads at as many.
TEST(SampleRow, TakesTheTokenOfTheReferenceOfALongRow) {
  uint64_t seed = 300;
  for (const auto& [v, dtype] : {std::pair{int64_t{48004}, Dtype::kF32}, {96008, Dtype::kBf16}})
    for (const Knobs& k : {Knobs{.temperature = 0.0f},
                           Knobs{.temperature = 0.8f, .top_k = 40, .top_p = 0.9, .penalty = 1.3f}})
      expect_sampled(1, v, dtype, k, ++seed);
}

TEST(SampleRow, DrawsAmongEqualsAtEveryPlace) {
  constexpr int64_t kVocabulary = 70, kRows = 64;
  OpCase op("sample F32 (64,70) all equal", 3);
  Buffer& chosen = op.output("chosen", Dtype::kI32, {kRows});
  Buffer& logits = op.input("logits", Dtype::kF32, {kRows, kVocabulary});
  Buffer& lengths = op.input("lengths", Dtype::kI32, {kRows});
  Buffer& sequences = op.input("sequences", Dtype::kI32, {kRows});
  Buffer& scratch = op.scratch(Dtype::kF32, {sample_scratch(kRows, kVocabulary)});
  logits.set_values(std::vector<double>(kRows * kVocabulary, 2.5));
  std::vector<Bounded> want;
  for (int64_t i = 0; i < kRows; ++i) {
    lengths.set(i, 9);
    sequences.set(i, double(i));
    // Of equals top-p takes the last half; each weighs 2^40.
    want.push_back(double(35 + sample_target(8, int32_t(i), 9, 35 * kFullWeight) / kFullWeight));
  }
  op.want(chosen, want);
  op.check([&] {
    sample({.chosen = chosen.tensor(),
            .logits = logits.tensor(),
            .lengths = lengths.tensor(),
            .sequences = sequences.tensor(),
            .temperature = 1.0f,
            .top_p = 0.5,
            .seed = 8,
            .scratch = scratch.tensor()});
  });
}

TEST(SampleRow, TakesTheFirstOfTheLargest) {
  constexpr int64_t kVocabulary = 2500;
  OpCase op("sample F32 (3,2500) greedily among equals", 5);
  Buffer& chosen = op.output("chosen", Dtype::kI32, {3});
  Buffer& logits = op.input("logits", Dtype::kF32, {3, kVocabulary});
  Buffer& lengths = op.input("lengths", Dtype::kI32, {3});
  Buffer& sequences = op.input("sequences", Dtype::kI32, {3});
  Buffer& scratch = op.scratch(Dtype::kF32, {sample_scratch(3, kVocabulary)});
  logits.set_values(std::vector<double>(3 * kVocabulary, -1.5));
  for (const int64_t i : {1100, 2124, 2200}) logits.set(kVocabulary + i, 4.0);
  for (const int64_t i : {777, 1801}) logits.set(2 * kVocabulary + i, double(FLT_MAX));
  lengths.set_values({2, 2, 2});
  sequences.set_values({0, 1, 2});
  op.want(chosen, {0.0, 1100.0, 777.0});
  op.check([&] {
    sample({.chosen = chosen.tensor(),
            .logits = logits.tensor(),
            .lengths = lengths.tensor(),
            .sequences = sequences.tensor(),
            .temperature = 0.0f,
            .scratch = scratch.tensor()});
  });
}

TEST(SampleRow, NamesARowThatIsNotFinite) {
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
        -std::numeric_limits<double>::infinity()})
    for (const float temperature : {0.0f, 1.0f})
      for (const int64_t place : {0, 1500, 2046}) {
        OpCase op("sample F32 (2,2047) not finite", 4);
        Buffer& chosen = op.output("chosen", Dtype::kI32, {2});
        Buffer& logits = op.input("logits", Dtype::kF32, {2, 2047});
        Buffer& lengths = op.input("lengths", Dtype::kI32, {2});
        Buffer& sequences = op.input("sequences", Dtype::kI32, {2});
        Buffer& scratch = op.scratch(Dtype::kF32, {sample_scratch(2, 2047)});
        lengths.set_values({4, 4});
        sequences.set_values({0, 1});
        logits.set(2047 + place, bad);
        op.run([&] {
          sample({.chosen = chosen.tensor(),
                  .logits = logits.tensor(),
                  .lengths = lengths.tensor(),
                  .sequences = sequences.tensor(),
                  .temperature = temperature,
                  .scratch = scratch.tensor()});
        });
        EXPECT_EQ(chosen.at(1), kNotFinite) << bad << " at " << place;
        EXPECT_GE(chosen.at(0), 0.0);
      }
}

TEST(SampleWeight, IsTheExponential) {
  for (int i = 0; i < 2900; ++i) {
    const float x = -0.01f * static_cast<float>(i);
    const double exact = std::ldexp(std::exp(double(x)), kWeightBits);
    // The logarithm is cut off to 24 bits after the point, the exponential to 32, the weight to 0.
    EXPECT_NEAR(double(sample_weight(x, 0.0f)), exact, exact * 0x1p-20 + 1.0) << x;
  }
  EXPECT_EQ(sample_weight(3.0f, 3.0f), kFullWeight);
  EXPECT_EQ(sample_weight(-std::numeric_limits<float>::infinity(), 0.0f), 0u);
}

TEST(SampleTarget, IsTheUpperHalfOfAProduct) {
  for (const uint64_t total : {uint64_t{1}, uint64_t{12345678901}, uint64_t{1} << 60}) {
    Rng rng(5, (static_cast<uint64_t>(RngStream::kSample) << 48) ^ (uint64_t{3} << 24) ^ 17);
    const double u = rng.uniform(), target = double(sample_target(5, 3, 17, total));
    EXPECT_NEAR(target, u * double(total), 1.0 + double(total) * 0x1p-50);
    EXPECT_LT(target, double(total));
  }
}

TEST(AdvanceRows, MakesTheNextStepsInput) {
  for (const int64_t b : {1, 3, 300}) {
    OpCase op(cat("advance_rows ", shape_name({b})), 6);
    Buffer& ids = op.output("ids", Dtype::kI32, {b});
    Buffer& positions = op.output("positions", Dtype::kI32, {b});
    Buffer& lengths = op.in_place("lengths", Dtype::kI32, {b});
    Buffer& seen = op.in_place("seen", Dtype::kI32, {b, 3});
    Buffer& chosen = op.input("chosen", Dtype::kI32, {b});
    std::vector<Bounded> want_ids, want_positions, want_lengths, want_seen;
    for (int64_t i = 0; i < b; ++i) {
      const int64_t length = i % 3 == 1 ? 0 : 10 + i, token = i * 37 % 96;
      const bool none = i % 5 == 4;
      chosen.set(i, none ? double(kNotFinite) : double(token));
      lengths.set(i, double(length));
      want_ids.push_back(none ? 0.0 : double(token));
      want_positions.push_back(double(length));
      want_lengths.push_back(double(length > 0 ? length + 1 : 0));
      for (int64_t word = 0; word < 3; ++word) {
        const uint32_t before = op.rng().next_u32();
        const int64_t marked = none ? 0 : token;
        const bool here = length > 0 && marked / 32 == word;
        seen.set(i * 3 + word, double(static_cast<int32_t>(before)));
        want_seen.push_back(
            double(static_cast<int32_t>(here ? before | 1u << marked % 32 : before)));
      }
    }
    op.want(ids, want_ids);
    op.want(positions, want_positions);
    op.want(lengths, want_lengths);
    op.want(seen, want_seen);
    op.check([&] {
      advance_rows({.ids = ids.tensor(),
                    .positions = positions.tensor(),
                    .lengths = lengths.tensor(),
                    .seen = seen.tensor(),
                    .chosen = chosen.tensor()});
    });
  }
}

TEST(SampleEntry, RefusesWrongArguments) {
  OpCase op("sample", 7);
  const Tensor numbers = op.input("numbers", Dtype::kI32, {2}).tensor();
  const Tensor scratch = op.input("scratch", Dtype::kF32, {10}).tensor();
  Sample right = {.chosen = numbers,
                  .logits = op.input("logits", Dtype::kF32, {2, 5}).tensor(),
                  .lengths = numbers,
                  .sequences = numbers,
                  .scratch = scratch};
  EXPECT_NO_THROW(sample(right));
  const auto refused = [&](const auto& change) {
    Sample wrong = right;
    change(wrong);
    EXPECT_THROW(sample(wrong), BugError);
  };
  refused([](Sample& s) { s.top_p = 1.5; });
  refused([](Sample& s) { s.min_p = -0.5; });
  refused([](Sample& s) { s.top_k = -1; });
  refused([](Sample& s) { s.repetition_penalty = 2.0f; });
  refused([](Sample& s) { s.scratch = {}; });
  refused([](Sample& s) { s.lengths = s.logits; });
}

}  // namespace
}  // namespace nibble
