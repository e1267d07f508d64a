// SPDX-License-Identifier: Apache-2.0
// What may stand in a message: anything, of any length; what is printed is one line to be read.
#include "cli/message.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace nibble {
namespace {

TEST(Message, ShortOnesStayAsTheyAre) {
  const std::string text =
      "--steps: \"" + std::string(280, 'x') + "\" is not a whole number;  see --help ";
  EXPECT_EQ(printable_line(text), text);
  EXPECT_EQ(printable_line(""), "");
}

TEST(Message, ControlCharactersAreWrittenOut) {
  EXPECT_EQ(printable_line("a\nb\x1b[1m\x7f"), "a\\nb\\x1b[1m\\x7f");
}

TEST(Message, LongWordsLoseTheirMiddle) {
  EXPECT_EQ(
      printable_line("--model: " + std::string(5000, 'x') + "/config.json: missing"),
      "--model: " + std::string(150, 'x') + "..." + std::string(87, 'x') + "/config.json: missing");
}

TEST(Message, AreCutBetweenCharacters) {
  for (const std::string character : {"é", "€", "😀"}) {
    // Whatever the cuts fall on.
    for (size_t shift = 0; shift < character.size(); ++shift) {
      std::string word(shift, 'x');
      for (int i = 0; i < 1000; ++i) word += character;
      const std::string line = printable_line(word + "y");
      ASSERT_LT(line.size(), 300u);
      const size_t at = line.find("...");
      ASSERT_NE(at, std::string::npos);
      EXPECT_EQ((at - shift) % character.size(), 0u) << character << shift;
      EXPECT_EQ((line.size() - 1 - at - 3) % character.size(), 0u) << character << shift;
      EXPECT_EQ(line.substr(at + 3, character.size()), character);
    }
  }
}

TEST(Message, AreCutWhereBytesAreNoText) {
  EXPECT_EQ(printable_line(std::string(5000, '\x80')).size(), 147u + 3 + 97);
}

TEST(Message, ManyWordsLoseTheirMiddle) {
  std::string text = "--steps: \"";
  for (int i = 0; i < 3000; ++i) text += "12 ";
  const std::string line = printable_line(text + "\" is not a whole number; see --help");
  EXPECT_EQ(line.size(), 1503u);
  EXPECT_TRUE(line.starts_with("--steps: \"12 12"));
  EXPECT_TRUE(line.ends_with("12 \" is not a whole number; see --help"));
}

}  // namespace
}  // namespace nibble
