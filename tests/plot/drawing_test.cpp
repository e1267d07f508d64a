// SPDX-License-Identifier: Apache-2.0
// Drawings of every kind of panel: gnuplot takes them, texts stay texts, nothing lies outside.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "plot/image.h"
#include "plot/text_drawing.h"
#include "plot/words.h"

namespace nibble {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
const std::string kHostile =
    "'; system('touch hacked') #`touch hacked`@x $(touch hacked) </text><script>\n\x1b[2J\\";

bool has_gnuplot() {
  return std::system("command -v gnuplot >/dev/null 2>&1") == 0;
}

Figure everything(const std::string& name) {
  Figure f = {.title = name, .subtitle = name, .legend = {{name, 0}, {name, 9}}};
  f.panels.push_back(LinePanel{name,
                               {.title = name, .integer = true},
                               {.title = name, .scale = Scale::kAuto},
                               {{name, {1, 2, 3, 4}, {5, kNaN, 300, 0.2}, 0, Stroke::kFaint},
                                {name, {1, 2, 3}, {1, 2, 3}, 8, Stroke::kDashed},
                                {name, {2}, {7}, 20, Stroke::kPoints}}});
  f.panels.push_back(LinePanel{name, {}, {}, {}});
  f.panels.push_back(BarPanel{name,
                              {.title = name, .unit = Unit::kBytes},
                              {name, name},
                              {{name, {3e9, kNaN}, name}, {name, {1e9, 2e9}, name}},
                              {{name, 2.5e9}, {name, 2.6e9}}});
  f.panels.push_back(BarPanel{.title = name});
  f.panels.push_back(MatrixPanel{.title = name,
                                 .row_title = name,
                                 .column_title = name,
                                 .rows = {name, name},
                                 .columns = {name, name, name},
                                 .cells = {{{name, Tint::kValue, 3}, {name, Tint::kBad}},
                                           {{"", Tint::kNone}, {name, Tint::kValue, kNaN}}},
                                 .value_title = name,
                                 .legend = {{Tint::kBad, name}}});
  f.panels.push_back(MatrixPanel{.title = name});
  return f;
}

TEST(Drawing, EveryPanelAsImage) {
  if (!has_gnuplot()) GTEST_SKIP() << "gnuplot is not installed";
  for (const std::string& name : {std::string("plain"), std::string(), kHostile}) {
    const Figure f = everything(name);
    const std::string png = draw_image(f, {.format = ImageFormat::kPng, .width = 700});
    EXPECT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
    const std::string svg = draw_image(f, {.names = "one-"});
    EXPECT_NE(svg.find("</svg>"), std::string::npos);
    EXPECT_EQ(svg.find("<script"), std::string::npos);
    EXPECT_EQ(svg.find('\x1b'), std::string::npos);
    EXPECT_EQ(svg.find("'gpDot'"), std::string::npos);
    EXPECT_EQ(svg.find("#gpPt"), std::string::npos);
  }
  EXPECT_FALSE(std::filesystem::exists("hacked"));
}

TEST(Drawing, TextsInImagesAreAsTheyStand) {
  if (!has_gnuplot()) GTEST_SKIP() << "gnuplot is not installed";
  const std::string name = R"(a_b^2 {/Bold c} & `id` "q" 'r' \n 50% @d <e>)";
  const std::string svg = draw_image(everything(name), {});
  const std::string want = R"(a_b^2 {/Bold c} &amp; `id` "q" ’r’ \n 50% @d &lt;e>)";
  EXPECT_NE(svg.find(want), std::string::npos);
}

TEST(Drawing, AsWideAsAsked) {
  if (!has_gnuplot()) GTEST_SKIP() << "gnuplot is not installed";
  const std::string svg = draw_image(everything("x"), {.width = 640, .height = 1800});
  EXPECT_NE(svg.find("viewBox=\"0 0 640 1800\""), std::string::npos) << svg.substr(0, 400);
}

TEST(Drawing, GnuplotFaultsAreTold) {
  if (!has_gnuplot()) GTEST_SKIP() << "gnuplot is not installed";
  try {
    run_gnuplot("plot nonsense(1,\n");
    FAIL();
  } catch (const UnavailableError& e) {
    EXPECT_NE(std::string(e.what()).find("gnuplot drew nothing"), std::string::npos) << e.what();
  }
}

TEST(Drawing, WithoutGnuplot) {
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", "/nonexistent", 1);
  try {
    draw_image(everything("x"), {});
    ADD_FAILURE() << "drawn by whom?";
  } catch (const UnavailableError& e) {
    EXPECT_NE(std::string(e.what()).find("install gnuplot-nox"), std::string::npos) << e.what();
  }
  ::setenv("PATH", path.c_str(), 1);
}

// Every line as text: no wider than the terminal, no escape but our own colours.
TEST(Drawing, EveryPanelAsText) {
  for (const std::string& name : {std::string("plain"), std::string("世界 κόσμε"), kHostile})
    for (const int columns : {30, 61, 80, 140, 400})
      for (const Glyphs glyphs : {Glyphs::kBraille, Glyphs::kBlocks, Glyphs::kAscii})
        for (const Colours colours : {Colours::kNone, Colours::k256, Colours::kTrue}) {
          const std::string text = draw_text(
              everything(name), {.columns = columns, .glyphs = glyphs, .colours = colours});
          size_t begin = 0;
          while (begin < text.size()) {
            const size_t end = text.find('\n', begin);
            ASSERT_NE(end, std::string::npos);
            std::string line;
            for (size_t i = begin; i < end; ++i) {
              if (text[i] != '\x1b') {
                line += text[i];
                continue;
              }
              ASSERT_NE(colours, Colours::kNone);
              const size_t last = text.find_first_not_of("0123456789;", i + 2);
              ASSERT_EQ(text[i + 1], '[');
              ASSERT_EQ(text[last], 'm');
              i = last;
            }
            EXPECT_LE(width(line), static_cast<size_t>(columns)) << line;
            begin = end + 1;
          }
        }
}

TEST(Drawing, TextFitsTheTerminal) {
  Figure f;
  for (int i = 0; i < 3; ++i)
    f.panels.push_back(LinePanel{"p", {}, {}, {{"", {1, 2, 3}, {1, 4, 2}, 0, Stroke::kLine}}});
  for (const int rows : {30, 40, 60, 100}) {
    const std::string text = draw_text(f, {.columns = 80, .rows = rows});
    EXPECT_LT(std::count(text.begin(), text.end(), '\n'), rows);
  }
}

TEST(Drawing, ALineIsWhereItsValuesAre) {
  Figure f;
  f.panels.push_back(LinePanel{"", {}, {}, {{"", {0, 10}, {0, 10}, 0, Stroke::kLine}}});
  const std::string text = draw_text(f, {.columns = 40, .rows = 0, .glyphs = Glyphs::kAscii});
  // A rising diagonal: in every row of the canvas the marks stand left of those of the row above.
  size_t last = std::string::npos;
  int rows = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    const size_t mark = line.find('*');
    if (mark == std::string::npos) continue;
    EXPECT_LT(mark, last);
    last = mark;
    ++rows;
  }
  EXPECT_EQ(rows, 11);
}

}  // namespace
}  // namespace nibble
