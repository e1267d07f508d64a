// SPDX-License-Identifier: Apache-2.0
// Figures as data: what is to be seen, apart from how it is drawn. A figure is some panels of
// lines, bars or a matrix, laid out below or beside each other; image.h makes an SVG or PNG of it,
// text_drawing.h text for a terminal. Texts may be anything (names of files): whoever draws cleans
// and escapes them. Colours are numbers of a series, 0, 1, ...: the palette (colour.h) tells them
// apart for the colour-blind, on light ground and dark.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace nibble {

/// How the numbers of an axis are written.
enum class Unit : uint8_t {
  kNumber,  // 0.25, 40, 12k
  kBytes,   // in KiB, MiB or GiB
};
enum class Scale : uint8_t {
  kLinear,
  kLog,
  kAuto,  // logarithmic where all values are positive and the largest is 20 times the smallest
};

struct Axis {
  std::string title;
  Unit unit = Unit::kNumber;
  Scale scale = Scale::kLinear;
  bool from_zero = false;  // the axis starts at 0
  bool integer = false;    // no ticks between whole numbers
  std::vector<double> at;  // ticks here and nowhere else, with some room at both ends
};

enum class Stroke : uint8_t {
  kLine,
  kFaint,   // thin and pale, behind the others
  kDashed,  // a limit or a plan
  kPoints,  // a line with a point at every value
};

/// A NaN in y is a gap. Without a name a line is not in the legend.
struct Line {
  std::string name;
  std::vector<double> x, y;
  int colour = 0;
  Stroke stroke = Stroke::kLine;
};

struct LinePanel {
  std::string title;
  Axis x, y;
  std::vector<Line> lines;
};

/// A row of bars, stacked: a value for each part; `note` stands behind it.
struct BarRow {
  std::string name;
  std::vector<double> values;
  std::string note;
};

/// Bars lie, so that long names stay legible. The legend names the parts where there are several.
struct BarPanel {
  std::string title;
  Axis value;
  std::vector<std::string> parts;
  std::vector<BarRow> rows;
  std::vector<std::pair<std::string, double>> marks;  // limits: a dashed line across all rows
};

/// What a cell says by its ground: nothing, its value on the panel's scale, or a verdict.
enum class Tint : uint8_t { kNone, kValue, kGood, kFair, kBad };

struct Cell {
  std::string text;
  Tint tint = Tint::kNone;
  double value = 0.0;  // with kValue
};

/// cells[row][column]; rows from the top.
struct MatrixPanel {
  std::string title;
  std::string row_title, column_title;
  std::vector<std::string> rows, columns;
  std::vector<std::vector<Cell>> cells;
  std::string value_title;  // of the scale of kValue; empty: no scale is shown
  bool low_is_good = true;  // the low end of the scale is the one that stands out
  Scale scale = Scale::kLinear;
  /// What the scale spans; by itself the values of this panel.
  std::optional<std::pair<double, double>> range;
  std::vector<std::pair<Tint, std::string>> legend;  // what verdicts mean
};

using Panel = std::variant<LinePanel, BarPanel, MatrixPanel>;

struct Figure {
  std::string title;
  std::string subtitle;
  std::vector<std::pair<std::string, int>> legend;  // name and colour, for all panels together
  std::vector<Panel> panels;
};

}  // namespace nibble
