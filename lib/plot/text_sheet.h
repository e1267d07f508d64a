// SPDX-License-Identifier: Apache-2.0
// What text drawings are made of: coloured words of a known width, and a canvas of dots.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plot/colour.h"
#include "plot/text_drawing.h"

namespace nibble {

/// A row of text that knows how many columns it takes, whatever colours are in it.
struct TextRow {
  std::string text;
  int columns = 0;
};
using TextRows = std::vector<TextRow>;

/// Writes into a row, in the colours that there are.
class Pen {
 public:
  Pen(TextRow& row, Colours colours) : row_(row), colours_(colours) {}
  Pen& plain(std::string_view text);
  Pen& bold(std::string_view text);
  Pen& soft(std::string_view text);  // axes and remarks
  Pen& in(Colour colour, std::string_view text);
  Pen& on(Colour ground, std::string_view text);
  /// Spaces up to a column.
  Pen& to(int column);

 private:
  Pen& with(const std::string& code, std::string_view text);
  std::string code(Colour colour, bool ground) const;
  TextRow& row_;
  Colours colours_;
};

/// The mark of a series where there are no colours.
std::string_view series_mark(int colour, Glyphs glyphs);

/// Dots in characters. The last line to touch a character has it to itself.
class DotCanvas {
 public:
  /// `marks`: a mark of the series a character instead of dots.
  DotCanvas(int columns, int rows, Glyphs glyphs, bool marks);
  int width() const { return columns_ * across_; }  // dots
  int height() const { return rows_ * down_; }
  void dot(int x, int y, int colour, bool faint);
  void line(int x0, int y0, int x1, int y1, int colour, bool faint, bool dashed);
  /// A row of characters.
  void write(int row, Pen& pen) const;

 private:
  struct Character {
    int colour = -1;
    bool faint = false;
    uint8_t dots = 0;
  };
  std::string glyph(const Character& c) const;
  int columns_, rows_, across_, down_;
  Glyphs glyphs_;
  bool marks_;
  std::vector<Character> cells_;
};

/// What a panel is drawn with.
struct PanelSpace {
  int columns = 80;
  int canvas_rows = 10;  // of panels of lines
  Glyphs glyphs = Glyphs::kBraille;
  Colours colours = Colours::kNone;
  bool marks = false;
};
TextRows draw_panel(const LinePanel& panel, const PanelSpace& space);
TextRows draw_panel(const BarPanel& panel, const PanelSpace& space);
TextRows draw_panel(const MatrixPanel& panel, const PanelSpace& space);

/// Names with their marks, in rows of so many columns.
struct TextKey {
  std::string name, mark;
  Colour colour;
};
TextRows text_legend(const std::vector<TextKey>& keys, const PanelSpace& space);
/// The mark of a line in a legend.
std::string line_mark(int colour, Stroke stroke, const PanelSpace& space);

}  // namespace nibble
