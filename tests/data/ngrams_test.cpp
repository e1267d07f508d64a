// SPDX-License-Identifier: Apache-2.0
#include "data/ngrams.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/error.h"
#include "base/rng.h"

namespace nibble {
namespace {

std::string random_text(uint64_t words, Rng& rng) {
  std::string text;
  for (uint64_t i = 0; i < words; ++i) text += cat(i > 0 ? " w" : "w", rng.below(4));
  return text;
}

// All n-grams by hand.
std::set<std::string> ngrams(const std::string& text, size_t n) {
  std::vector<size_t> starts = {0};
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] == ' ') starts.push_back(i + 1);
  starts.push_back(text.size() + 1);
  std::set<std::string> all;
  if (text.empty()) return all;
  for (size_t i = 0; i + n < starts.size(); ++i)
    all.insert(text.substr(starts[i], starts[i + n] - 1 - starts[i]));
  return all;
}

TEST(Ngrams, FindsWhatIsSharedAndWhere) {
  for (const size_t n : {1, 2, 5}) {
    Rng rng(n);
    NgramSet set(static_cast<int64_t>(n));
    std::set<std::string> known;
    for (uint32_t i = 0; i < 12; ++i) {
      const std::string text = random_text(n + rng.below(3), rng);
      set.add(text, i);
      known.merge(ngrams(text, n));
    }
    EXPECT_EQ(set.size(), known.size());
    int found = 0;
    for (int i = 0; i < 2000; ++i) {
      const std::string text = random_text(rng.below(12), rng);
      bool want = false;
      for (const std::string& gram : ngrams(text, n)) want |= known.count(gram) > 0;
      const auto match = set.find(text);
      ASSERT_EQ(match.has_value(), want) << text;
      if (!match) continue;
      ++found;
      EXPECT_TRUE(known.count(std::string(match->ngram))) << match->ngram;
      EXPECT_LT(match->source, 12u);
    }
    EXPECT_GT(found, 50);
  }
}

TEST(Ngrams, TakesShortTextsWhole) {
  NgramSet set(13);
  set.add("a b c d e f g h", 4);  // 8 words
  set.add("one two three four five six seven", 5);
  set.add("", 6);
  EXPECT_EQ(set.size(), 1u);
  EXPECT_EQ(set.too_short(), 1);
  const std::string text = "x y a b c d e f g h z";
  const auto match = set.find(text);
  ASSERT_TRUE(match);
  EXPECT_EQ(match->source, 4u);
  EXPECT_EQ(match->ngram, "a b c d e f g h");
  EXPECT_FALSE(set.find("a b c d e f g"));
  EXPECT_FALSE(set.find("one two three four five six seven"));
  EXPECT_FALSE(set.find(""));
}

}  // namespace
}  // namespace nibble
