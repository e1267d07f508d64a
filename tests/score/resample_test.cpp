// SPDX-License-Identifier: Apache-2.0
#include "score/resample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "score/numpy_random.h"
#include "support/score_corpus.h"

namespace nibble {
namespace {

// What numpy 2.4 draws: default_rng(seed).choice(1000, size=(2, 5)), then integers(2, size=12,
// dtype=bool).
struct Draws {
  uint64_t seed;
  std::array<int32_t, 10> numbers;
  std::array<int, 12> coins;
};
constexpr Draws kDraws[] = {
    {0, {850, 636, 511, 269, 307, 40, 75, 16, 175, 813}, {0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1}},
    {12345,
     {699, 227, 788, 316, 204, 797, 642, 676, 988, 391},
     {1, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1}},
    {(uint64_t{1} << 40) + 7,
     {206, 829, 609, 255, 17, 153, 504, 674, 885, 738},
     {1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1}},
};

TEST(NumpyRandom, DrawsAsNumpyDoes) {
  for (const Draws& want : kDraws) {
    NumpyRandom random(want.seed);
    std::array<int32_t, 10> numbers{};
    random.integers(1000, numbers);
    EXPECT_EQ(numbers, want.numbers) << want.seed;
    for (const int coin : want.coins) EXPECT_EQ(random.coin(), coin != 0) << want.seed;
  }
  NumpyRandom random(1);
  std::array<int32_t, 4> large{};
  random.integers(300'000'000, large);
  EXPECT_EQ(large, (std::array<int32_t, 4>{141956609, 153546487, 226550252, 285139108}));
  std::array<int32_t, 3> few{9, 9, 9};
  random.integers(1, few);  // takes nothing from the stream
  EXPECT_EQ(few, (std::array<int32_t, 3>{0, 0, 0}));
  random.integers(7, few);
  EXPECT_EQ(few, (std::array<int32_t, 3>{0, 1, 5}));
}

Measured measured(std::span<const ScoreExample> examples) {
  Measured m{.label = "bleu", .metric = make_metric("bleu")};
  m.names = m.metric->scores();
  const auto width = static_cast<size_t>(m.metric->width());
  m.numbers.resize(width * examples.size());
  for (size_t i = 0; i < examples.size(); ++i)
    m.metric->measure(examples[i], std::span(m.numbers).subspan(i * width, width));
  return m;
}

std::vector<ScoreExample> examples(int good) {
  std::vector<ScoreExample> all;
  for (int i = 0; i < 40; ++i)
    all.push_back({.hypothesis = i < good ? "a b c d e f g" : "a b x d e y g",
                   .references = {"a b c d e f g"}});
  return all;
}

std::vector<double> scores(std::span<const ScoreExample> all) {
  return score_corpus("bleu", all).corpus;
}

TEST(Resample, IntervalsHoldTheScoreAndNarrowToIt) {
  const auto mixed = examples(20), same = examples(40);
  const std::vector<Interval> intervals = bootstrap(measured(mixed), 500, 1);
  const double score = scores(mixed)[0];
  EXPECT_LT(intervals[0].low, score);
  EXPECT_GT(intervals[0].high, score);
  EXPECT_GT(intervals[0].mean, intervals[0].low);
  EXPECT_LT(intervals[0].mean, intervals[0].high);
  const std::vector<Interval> none = bootstrap(measured(same), 50, 1);
  EXPECT_EQ(none[0].low, none[0].high);
}

TEST(Resample, TellsSystemsApartThatDiffer) {
  const auto better = examples(30), worse = examples(5);
  for (const PairedTest test : {PairedTest::kBootstrap, PairedTest::kRandomization}) {
    const auto p = [&](const auto& a, const auto& b) {
      return paired_test(test, measured(a), measured(b), scores(a), scores(b), 200, 7)[0];
    };
    EXPECT_LT(p(better, worse), 0.05);
    EXPECT_DOUBLE_EQ(p(better, worse), p(worse, better));
    EXPECT_DOUBLE_EQ(p(better, better),
                     1.0 / 201.0);  // as sacrebleu counts
  }
}

}  // namespace
}  // namespace nibble
