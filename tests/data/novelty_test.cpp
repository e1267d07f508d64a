// SPDX-License-Identifier: Apache-2.0
#include "data/novelty.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"

namespace nibble {
namespace {

using Words = std::vector<uint32_t>;

// The textbook's table.
int64_t subsequence(const Words& a, const Words& b) {
  std::vector<std::vector<int64_t>> best(a.size() + 1, std::vector<int64_t>(b.size() + 1));
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < b.size(); ++j)
      best[i + 1][j + 1] = a[i] == b[j] ? best[i][j] + 1 : std::max(best[i][j + 1], best[i + 1][j]);
  return best[a.size()][b.size()];
}

double f_measure(const Words& a, const Words& b) {
  return 2 * static_cast<double>(subsequence(a, b)) / static_cast<double>(a.size() + b.size());
}

Words random_words(uint64_t length, uint64_t vocabulary, Rng& rng) {
  Words words(length);
  for (uint32_t& w : words) w = static_cast<uint32_t>(rng.below(1 + rng.below(vocabulary)));
  return words;
}

TEST(Novelty, SubsequencesAreTheTextbooks) {
  Rng rng(1);
  std::vector<uint64_t> state;
  for (const uint64_t m : {1, 2, 63, 64, 65, 127, 128, 129, 300}) {
    for (const uint64_t vocabulary : {1, 3, 40}) {
      for (int i = 0; i < 10; ++i) {
        const Words a = random_words(m, vocabulary, rng);
        const Words b = random_words(rng.below(200), vocabulary, rng);
        ASSERT_EQ(SubsequencePattern(a).common(b, state), subsequence(a, b)) << m;
      }
    }
  }
}

TEST(Novelty, FindsTheFirstThatIsTooMuchAlike) {
  Rng rng(2);
  for (const double threshold : {0.3, 0.5, 0.7, 1.0}) {
    std::vector<Words> kept;
    Novelty novelty(threshold);
    int found = 0;
    for (int i = 0; i < 500; ++i) {
      Words words = random_words(rng.below(25), 60, rng);
      if (i % 3 == 0 && !kept.empty()) {  // like one before, some words changed
        words = kept[rng.below(kept.size())];
        for (uint64_t n = rng.below(4); n > 0 && !words.empty(); --n)
          words[rng.below(words.size())] = static_cast<uint32_t>(rng.below(60));
      }
      std::optional<size_t> want;
      for (size_t j = 0; j < kept.size() && !want; ++j)
        if (!words.empty() && f_measure(words, kept[j]) >= threshold) want = j;
      const auto match = novelty.find(words);
      ASSERT_EQ(match.has_value(), want.has_value()) << threshold << ", text " << i;
      if (match) {
        ++found;
        ASSERT_EQ(match->number, static_cast<int64_t>(*want));
        ASSERT_EQ(match->f_measure, f_measure(words, kept[*want]));
      } else {
        novelty.add(words);
        kept.push_back(words);
      }
    }
    EXPECT_GT(found, 30) << threshold;
  }
}

TEST(Novelty, NumbersWordsInTheirOrder) {
  WordNumbers numbers;
  Words words;
  numbers.number("a b a c", words);
  EXPECT_EQ(words, (Words{0, 1, 0, 2}));
  numbers.number("c d", words);
  EXPECT_EQ(words, (Words{2, 3}));
  numbers.number("", words);
  EXPECT_TRUE(words.empty());
  EXPECT_EQ(numbers.size(), 4u);
}

}  // namespace
}  // namespace nibble
