// SPDX-License-Identifier: Apache-2.0
// The processed logits against those of transformers (golden/sampling.json), and the draws
// themselves against the probabilities they stand for.
#include "infer/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "io/json.h"

namespace nibble {
namespace {

// One row at a time, with the logits as they are after what removes and divides.
class Sampler {
 public:
  Sampler(const SamplingOptions& options, size_t vocabulary)
      : op_(sample_with(options)),
        seen_(vocabulary / 32 + 1),
        scratch_(vocabulary * 2),
        penalises_(options.penalises()) {}

  int32_t next(std::vector<float>& logits, const std::vector<int32_t>& seen, int32_t sequence) {
    const auto v = static_cast<int64_t>(logits.size());
    std::fill(seen_.begin(), seen_.end(), 0);
    for (const int32_t id : seen) seen_[static_cast<size_t>(id) / 32] |= 1 << id % 32;
    const std::vector<float> raw = logits;
    // A text is never empty: with nothing seen it has its first token still.
    const auto length = static_cast<int32_t>(seen.size()) + 1;
    int32_t chosen = -2;
    op_.chosen = view(&chosen, {1});
    op_.processed = view(logits.data(), {1, v});
    op_.logits = view(raw.data(), {1, v});
    op_.lengths = view(&length, {1});
    op_.sequences = view(&sequence, {1});
    if (penalises_) op_.seen = view(seen_.data(), {1, seen_words(v)});
    op_.scratch = view(scratch_.data(), {2 * v});
    sample(op_);
    return chosen;
  }

 private:
  Sample op_;
  std::vector<int32_t> seen_;
  std::vector<float> scratch_;
  bool penalises_;
};

TEST(Sampling, LogitsAreProcessedAsInTransformers) {
  const Json cases = read_json_file(NIBBLE_TEST_DATA "/infer/golden/sampling.json");
  ASSERT_GT(cases.as_array().size(), 20u);
  for (const Json& c : cases.as_array()) {
    const Json& o = c.at("options");
    const auto number = [&](const char* name, double otherwise) {
      const Json* value = o.find(name);
      return value ? value->as_number() : otherwise;
    };
    const SamplingOptions options = {.temperature = number("temperature", 1.0),
                                     .top_k = static_cast<int64_t>(number("top_k", 0)),
                                     .top_p = number("top_p", 1.0),
                                     .min_p = number("min_p", 0.0),
                                     .repetition_penalty = number("repetition_penalty", 1.0)};
    std::vector<float> logits;
    std::vector<int32_t> seen;
    for (const Json& x : c.at("logits").as_array())
      logits.push_back(static_cast<float>(x.as_number()));
    for (const Json& x : c.at("seen").as_array())
      seen.push_back(static_cast<int32_t>(x.as_integer()));
    const auto& want = c.at("want").as_array();
    ASSERT_EQ(want.size(), logits.size());
    Sampler sampler(options, logits.size());
    const int32_t chosen = sampler.next(logits, seen, 0);
    for (size_t i = 0; i < want.size(); ++i) {
      SCOPED_TRACE(o.dump() + " token " + std::to_string(i));
      if (want[i].is_null())
        EXPECT_EQ(logits[i], -std::numeric_limits<float>::infinity());
      else  // a product and a quotient, each rounded once
        EXPECT_FLOAT_EQ(logits[i], static_cast<float>(want[i].as_number()));
    }
    EXPECT_FALSE(want[static_cast<size_t>(chosen)].is_null()) << o.dump();
  }
}

TEST(Sampling, GreedyTakesTheFirstOfTheLargest) {
  Sampler sampler({.top_k = 1, .top_p = 0.1, .seed = 9}, 5);
  std::vector<float> logits = {1.0f, 4.0f, -2.0f, 4.0f, 3.0f};
  EXPECT_EQ(sampler.next(logits, {}, 0), 1);
  Sampler penalised({.repetition_penalty = 1.5}, 5);
  const std::vector<int32_t> seen = {1, 1, 2};
  logits = {1.0f, 4.0f, -2.0f, 3.5f, 3.0f};
  EXPECT_EQ(penalised.next(logits, seen, 0), 3);  // 4 / 1.5 once, however often it was seen
  EXPECT_FLOAT_EQ(logits[1], 4.0f / 1.5f);
  EXPECT_FLOAT_EQ(logits[2], -3.0f);
}

TEST(Sampling, TiesWithTheKthStay) {
  Sampler sampler({.temperature = 1.0, .top_k = 2}, 5);
  std::vector<float> logits = {1.0f, 3.0f, 2.0f, 2.0f, 0.0f};
  sampler.next(logits, {}, 0);
  for (const size_t kept : {1u, 2u, 3u}) EXPECT_TRUE(std::isfinite(logits[kept])) << kept;
  for (const size_t gone : {0u, 4u}) EXPECT_FALSE(std::isfinite(logits[gone])) << gone;
}

TEST(Sampling, DrawsFollowTheProbabilities) {
  const std::vector<float> logits = {0.5f, 2.0f, -1.0f, 1.0f, 1.5f, -3.0f};
  constexpr int kDraws = 20000;
  for (const double temperature : {0.5, 1.0, 2.0}) {
    Sampler sampler({.temperature = temperature, .seed = 11}, 6);
    std::vector<int> counts(logits.size());
    for (int32_t sequence = 0; sequence < kDraws; ++sequence) {
      std::vector<float> work = logits;
      ++counts[static_cast<size_t>(sampler.next(work, {}, sequence))];
    }
    double total = 0.0;
    for (const float x : logits) total += std::exp(static_cast<double>(x) / temperature);
    for (size_t i = 0; i < logits.size(); ++i) {
      const double p = std::exp(static_cast<double>(logits[i]) / temperature) / total;
      // Five standard deviations of a binomial count.
      EXPECT_NEAR(counts[i], p * kDraws, 5.0 * std::sqrt(kDraws * p * (1.0 - p)))
          << "token " << i << " temperature " << temperature;
    }
  }
}

TEST(Sampling, RemovedTokensAreNeverDrawn) {
  Sampler sampler({.temperature = 1.0, .top_k = 2, .seed = 3}, 4);
  for (int32_t sequence = 0; sequence < 2000; ++sequence) {
    std::vector<float> logits = {1.0f, 1.1f, 0.9f, 1.2f};
    const int32_t token = sampler.next(logits, {}, sequence);
    ASSERT_TRUE(token == 1 || token == 3) << token;
  }
}

TEST(Sampling, ADrawIsAFunctionOfSeedSequenceAndLength) {
  const std::vector<float> flat(256, 0.0f);
  const auto draw = [&](uint64_t seed, int32_t sequence, size_t length) {
    Sampler sampler({.temperature = 1.0, .seed = seed}, 256);
    std::vector<float> logits = flat;
    return sampler.next(logits, std::vector<int32_t>(length), sequence);
  };
  const auto text = [&](uint64_t seed, int32_t sequence) {
    std::vector<int32_t> out;
    for (size_t length = 0; length < 8; ++length) out.push_back(draw(seed, sequence, length));
    return out;
  };
  EXPECT_EQ(text(1, 0), text(1, 0));
  EXPECT_NE(text(1, 0), text(2, 0));
  EXPECT_NE(text(1, 0), text(1, 1));
  // Neither stands still from token to token.
  EXPECT_NE(draw(1, 0, 0), draw(1, 0, 1));
}

}  // namespace
}  // namespace nibble
