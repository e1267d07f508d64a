// SPDX-License-Identifier: Apache-2.0
#include "kernels/text_lengths.h"

#include <gtest/gtest.h>

#include <string>

#include "base/rng.h"

namespace nibble {
namespace {

TextLengths plainly(std::string_view text) {
  TextLengths want;
  bool inside = false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool space = (byte >= 9 && byte <= 13) || (byte >= 28 && byte <= 32);
    want.words += !space && !inside;
    inside = !space;
    want.characters += byte < 0x80 || byte >= 0xC0;
    want.other_space |= byte == 0xC2 || (byte >= 0xE1 && byte <= 0xE3);
  }
  return want;
}

void expect_counts(std::string_view text) {
  const TextLengths want = plainly(text), got = count_text(text);
  ASSERT_EQ(got.words, want.words) << text.size() << " bytes: " << text;
  ASSERT_EQ(got.characters, want.characters) << text.size() << " bytes: " << text;
  ASSERT_EQ(got.other_space, want.other_space) << text.size() << " bytes: " << text;
}

// Lengths around those of vectors; the text stands between bytes that would be seen if read.
TEST(TextLengths, AreThoseOfALoopOverBytes) {
  Rng rng(7);
  for (size_t size = 0; size < 200; ++size) {
    for (const bool any : {false, true}) {
      std::string text(size + 2, '\xE2');
      for (size_t i = 1; i <= size; ++i) {
        const auto byte = static_cast<unsigned char>(rng.next_u32() & 0xFF);
        text[i] = static_cast<char>(any ? byte : byte % 3 == 0 ? ' ' : 'a');
      }
      expect_counts(std::string_view(text).substr(1, size));
    }
  }
}

TEST(TextLengths, KnowEveryByte) {
  for (int byte = 0; byte < 256; ++byte)
    for (const size_t before : {0, 1, 31, 63, 64}) {
      const std::string text = std::string(before, 'a') + static_cast<char>(byte) + "b";
      expect_counts(text);
      EXPECT_EQ(is_ascii(text), byte < 0x80) << byte << " after " << before;
    }
  EXPECT_TRUE(is_ascii(""));
}

}  // namespace
}  // namespace nibble
