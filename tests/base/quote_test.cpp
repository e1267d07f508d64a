// SPDX-License-Identifier: Apache-2.0
#include "base/quote.h"

#include <gtest/gtest.h>

namespace nibble {
namespace {

TEST(Quote, KeepsTextAndMasksTheRest) {
  EXPECT_EQ(quote("blk.0.weight"), "\"blk.0.weight\"");
  EXPECT_EQ(quote(""), "\"\"");
  EXPECT_EQ(quote("caf\xc3\xa9"), "\"caf\xc3\xa9\"");
  EXPECT_EQ(quote("a\nb\x1b[2Jc\x7f"), "\"a?b?[2Jc?\"");
  EXPECT_EQ(quote("\xff\xc3"), "\"??\"");
  EXPECT_EQ(quote(std::string_view("a\0b", 3)), "\"a?b\"");
}

TEST(Quote, CutsAtACharacter) {
  EXPECT_EQ(quote("abcdef", 3), "\"abc...\"");
  EXPECT_EQ(quote("abc", 3), "\"abc\"");
  EXPECT_EQ(quote("ab\xc3\xa9", 3), "\"ab...\"");
}

}  // namespace
}  // namespace nibble
