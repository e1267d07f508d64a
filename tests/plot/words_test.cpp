// SPDX-License-Identifier: Apache-2.0
#include "plot/words.h"

#include <gtest/gtest.h>

#include "plot/colour.h"
#include "plot/image.h"

namespace nibble {
namespace {

TEST(Words, CleanIsOneLineOfValidUtf8) {
  EXPECT_EQ(clean("r16, 2e-4"), "r16, 2e-4");
  EXPECT_EQ(clean("a\nb\x1b[31mc\x7f"), "a\uFFFDb\uFFFD[31mc\uFFFD");
  EXPECT_EQ(clean("\xc0\xaf|\xed\xa0\x80|\xff|\xe2\x82"),
            "\uFFFD\uFFFD|\uFFFD\uFFFD\uFFFD|\uFFFD|\uFFFD\uFFFD");
  EXPECT_EQ(clean("a\u202Eb\u200Bc\uFEFFd\u0085"), "a\uFFFDb\uFFFDc\uFFFDd\uFFFD");
  EXPECT_EQ(clean("κόσμε 世界"), "κόσμε 世界");
}

TEST(Words, CleanKeepsWithinItsColumns) {
  EXPECT_EQ(clean("abcdef", 6), "abcdef");
  EXPECT_EQ(clean("abcdefg", 6), "abcde…");
  EXPECT_EQ(clean("世界世界", 5), "世界…");
  EXPECT_EQ(clean("世界世", 6), "世界世");
  EXPECT_EQ(clean("abc", 1), "…");
  EXPECT_EQ(clean("abc", 0), "");
  for (size_t limit = 1; limit < 12; ++limit)
    EXPECT_LE(width(clean("a世b界c\u0301de世", limit)), limit);
}

TEST(Words, Width) {
  EXPECT_EQ(width("abc"), 3U);
  EXPECT_EQ(width("世界"), 4U);
  EXPECT_EQ(width("e\u0301"), 1U);
  EXPECT_EQ(width("⣿━█"), 3U);
  EXPECT_EQ(padded("世", 4), "世  ");
  EXPECT_EQ(padded("7", 3, false), "  7");
  EXPECT_EQ(padded("long", 2), "long");
}

TEST(Words, EscapedForMarkup) {
  EXPECT_EQ(escaped("<b a=\"x\" c='y'>&amp;</b>"),
            "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;amp;&lt;/b&gt;");
  EXPECT_EQ(escaped(std::string_view("a\0b\x01\xff\ufffe\nc", 10)),
            "a\uFFFDb\uFFFD\uFFFD\uFFFD\nc");
}

// What gnuplot substitutes in other places, it takes as it stands in single quotes.
TEST(Words, GnuplotLiteralsAreOneToken) {
  EXPECT_EQ(gnuplot_literal("it's"), "'it’s'");
  EXPECT_EQ(gnuplot_literal("'; system('id') #"), "'’; system(’id’) #'");
  EXPECT_EQ(gnuplot_literal("`id` @x \\ \n \" $HOME"), "'`id` @x \\ \uFFFD \" $HOME'");
}

TEST(Colour, SeriesStandOutOnDarkGround) {
  for (int i = 0; i < kSeriesColours; ++i) {
    EXPECT_GE(contrast(series_colour(i), {0, 0, 0}), 4.0) << i;
    // A terminal's own blue is too dark: 16 + 36 r + 6 g + b, the steps of a channel 0, 95, 135,
    // ...
    const int cube = nearest_of_256(series_colour(i)) - 16;
    const auto step = [](int n) { return static_cast<uint8_t>(n == 0 ? 0 : 55 + 40 * n); };
    ASSERT_GE(cube, 0);
    ASSERT_LT(cube, 216);
    EXPECT_GE(contrast({step(cube / 36), step(cube / 6 % 6), step(cube % 6)}, {0, 0, 0}), 4.0) << i;
    for (int k = 0; k < i; ++k) EXPECT_FALSE(series_colour(i) == series_colour(k));
  }
  EXPECT_EQ(series_colour(kSeriesColours), series_colour(0));
}

TEST(Colour, ScaleRisesInLightnessAndCarriesText) {
  double last = 0.0;
  for (int i = 0; i <= 100; ++i) {
    const Colour c = scale_colour(i / 100.0);
    const double lightness = contrast(c, {0, 0, 0});
    EXPECT_GE(lightness, last) << i;
    EXPECT_GE(contrast(c, text_on(c)), 4.5) << i;
    last = lightness;
  }
  for (const Tint tint : {Tint::kNone, Tint::kGood, Tint::kFair, Tint::kBad})
    EXPECT_GE(contrast(tint_colour(tint), text_on(tint_colour(tint))), 4.5);
}

TEST(Colour, Names) {
  EXPECT_EQ(hex({0x56, 0xb4, 0xe9}), "#56b4e9");
  EXPECT_EQ(nearest_of_256({255, 0, 0}), 196);
  EXPECT_EQ(nearest_of_256({0x80, 0x80, 0x80}), 244);
  EXPECT_EQ(nearest_of_256({255, 255, 255}), 231);
}

}  // namespace
}  // namespace nibble
