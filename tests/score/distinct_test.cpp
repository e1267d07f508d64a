// SPDX-License-Identifier: Apache-2.0
// Different n-grams beside sets of them, in texts large enough to be dealt to several tables.
#include <gtest/gtest.h>

#include <set>

#include "base/rng.h"
#include "score/distinct_ngrams.h"
#include "score/words.h"

namespace nibble {
namespace {

NumberedTexts random_texts(Rng& rng, size_t count, uint32_t words) {
  NumberedTexts texts{.different = static_cast<int32_t>(words)};
  for (size_t i = 0; i < count; ++i) {
    // The smaller of two draws: some words are frequent, as in texts.
    for (uint32_t n = rng.next_u32() % 12; n > 0; --n)
      texts.words.push_back(
          static_cast<int32_t>(std::min(rng.next_u32() % words, rng.next_u32() % words)));
    texts.ends.push_back(texts.words.size());
  }
  return texts;
}

TEST(DistinctNgrams, AreThoseOfSets) {
  Rng rng(11);
  DistinctNgrams ngrams;  // its memory goes from texts to texts
  for (const size_t count : {0, 1, 2, 40, 5000, 3}) {
    for (const uint32_t words : {1u, 2u, 30u, 4000u}) {
      const NumberedTexts texts = random_texts(rng, count, words);
      const auto got = ngrams.count(texts, 5);
      ASSERT_EQ(got.size(), 5u);
      for (size_t n = 1; n <= 5; ++n) {
        std::set<std::vector<int32_t>> different;
        double all = 0.0;
        size_t begin = 0;
        for (const size_t end : texts.ends) {
          for (size_t i = begin; i + n <= end; ++i, ++all)
            different.insert({texts.words.begin() + static_cast<int64_t>(i),
                              texts.words.begin() + static_cast<int64_t>(i + n)});
          begin = end;
        }
        EXPECT_EQ(got[n - 1].all, all) << count << " texts of " << words << " words, order " << n;
        EXPECT_EQ(got[n - 1].different, static_cast<double>(different.size()))
            << count << " texts of " << words << " words, order " << n;
      }
    }
  }
}

// White space as str.split() has it, of any script.
TEST(TextLengths, AreThoseOfPython) {
  const auto expect = [](std::string_view text, int64_t words, int64_t characters) {
    const TextLengths lengths = text_lengths(text);
    EXPECT_EQ(lengths.words, words) << text;
    EXPECT_EQ(lengths.characters, characters) << text;
  };
  expect("", 0, 0);
  expect(" \t\n", 0, 3);
  expect("a b", 2, 3);
  expect("été à", 2, 5);
  expect("été\xC2\xA0à", 2, 5);             // no-break space
  expect("a\xE2\x80\x83 b\xC2\x85", 2, 5);  // em space, next line
  expect("一二\xE3\x80\x80三", 2, 4);       // ideographic space
  expect("\xF0\x9F\x98\x80\x1F\xF0\x9F\x98\x80", 2, 3);
  expect("a\xE2\x80\x8B b", 2, 4);  // zero width space is none
}

}  // namespace
}  // namespace nibble
