// SPDX-License-Identifier: Apache-2.0
#include "text/words.h"

#include <gtest/gtest.h>

#include <vector>

namespace nibble {
namespace {

std::string words(std::string_view text) {
  std::string out;
  append_words(out, text);
  return out;
}

TEST(Words, OfAsciiAreRougeScoresTokens) {
  EXPECT_EQ(words(""), "");
  EXPECT_EQ(words(" \n-- !"), "");
  EXPECT_EQ(words("Don't stop_me  NOW, 3.14!"), "don t stop me now 3 14");
  EXPECT_EQ(words(std::string_view("a\0b", 3)), "a b");
}

TEST(Words, OfOtherScriptsAreFolded) {
  EXPECT_EQ(words("Grüße STRASSE Straße"), "grüsse strasse strasse");
  EXPECT_EQ(words("e\u0301t\u00e9 \u00c9T\u00c9"), "\u00e9t\u00e9 \u00e9t\u00e9");  // composed
  EXPECT_EQ(words("\uff21\uff11 \ufb01n"), "a1 fin");  // full width, ligature
  EXPECT_EQ(words("привет, МИР\u2014да"), "привет мир да");
  EXPECT_EQ(words("\u4f60\u597dabc"), "\u4f60 \u597d abc");  // Han
  EXPECT_EQ(words("\u0e01\u0e33"), words("\u0e01\u0e33"));   // Thai
  EXPECT_EQ(words("caf\u00e9\u200d"), "caf\u00e9");          // joiner
}

TEST(Words, ThatAreNoUtf8ArePartedThere) {
  EXPECT_EQ(words("ab\xff"
                  "cd \xc3\xa9"),
            "ab cd \xc3\xa9");
}

TEST(Words, AreAppendedAndRead) {
  std::string out = "one";
  append_words(out, "Two, three");
  append_words(out, "...");
  append_words(out, "\u00e9");
  EXPECT_EQ(out, "one two three \u00e9");
  std::vector<std::string> found;
  for_words(out, [&](std::string_view word) { found.emplace_back(word); });
  EXPECT_EQ(found, (std::vector<std::string>{"one", "two", "three", "\u00e9"}));
  for_words("", [&](std::string_view) { ADD_FAILURE(); });
}

}  // namespace
}  // namespace nibble
