// SPDX-License-Identifier: Apache-2.0
#include "score/porter.h"

#include <gtest/gtest.h>

namespace nibble {
namespace {

TEST(Porter, FollowsThePaper) {
  EXPECT_EQ(porter_stem("caresses"), "caress");
  EXPECT_EQ(porter_stem("plastered"), "plaster");
  EXPECT_EQ(porter_stem("feed"), "feed");
  EXPECT_EQ(porter_stem("conflated"), "conflat");
  EXPECT_EQ(porter_stem("hopping"), "hop");
  EXPECT_EQ(porter_stem("filing"), "file");
  EXPECT_EQ(porter_stem("happy"), "happi");
  EXPECT_EQ(porter_stem("relational"), "relat");
  EXPECT_EQ(porter_stem("vietnamization"), "vietnam");
  EXPECT_EQ(porter_stem("adoption"), "adopt");
  EXPECT_EQ(porter_stem("controlling"), "control");
  EXPECT_EQ(porter_stem("rate"), "rate");
}

TEST(Porter, DepartsFromItAsNltkDoes) {
  EXPECT_EQ(porter_stem("dying"), "die");
  EXPECT_EQ(porter_stem("innings"), "inning");
  EXPECT_EQ(porter_stem("dies"), "die");
  EXPECT_EQ(porter_stem("spied"), "spi");
  EXPECT_EQ(porter_stem("enjoy"), "enjoy");
  EXPECT_EQ(porter_stem("spy"), "spi");
  EXPECT_EQ(porter_stem("joyfully"), "joy");
  EXPECT_EQ(porter_stem("geology"), "geolog");
  EXPECT_EQ(porter_stem("is"), "is");
}

TEST(Porter, CountsLettersNotBytes) {
  EXPECT_EQ(porter_stem("és"), "és");
  EXPECT_EQ(porter_stem("naïves"), "naïv");
  EXPECT_EQ(porter_stem("éééed"), "éééed");
  EXPECT_EQ(porter_stem("aééed"), "aé");
}

}  // namespace
}  // namespace nibble
