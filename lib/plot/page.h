// SPDX-License-Identifier: Apache-2.0
// The paper that panels are put on: pixels from the top left, and gnuplot's commands for texts,
// lines and rulers at them. What image.cpp and the panels share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plot/colour.h"
#include "plot/figure.h"
#include "plot/ticks.h"

namespace nibble {

inline constexpr Colour kInk = {0x22, 0x22, 0x22}, kSoftInk = {0x5f, 0x5f, 0x5f},
                        kGrid = {0xe4, 0xe4, 0xe4}, kPaper = {0xff, 0xff, 0xff};

/// A place on the page, in pixels.
struct Box {
  double left = 0, top = 0, width = 0, height = 0;
  double right() const { return left + width; }
  double bottom() const { return top + height; }
};

enum class Align : uint8_t { kLeft, kCenter, kRight };

struct TextStyle {
  double size = 12;                    // pixels
  bool bold = false, upright = false;  // upright: written from below
  Align align = Align::kLeft;
  Colour colour = kInk;
};

/// An entry of a legend.
struct Key {
  std::string name;
  int colour = 0;
  Stroke stroke = Stroke::kLine;
  bool swatch = false;  // a filled square of `ground`
  Colour ground;
};

class Page {
 public:
  Page(double width, double height) : width_(width), height_(height) {}

  /// A text whose middle line is at y.
  void text(double x, double y, std::string_view what, const TextStyle& style = {});
  void line(double x0, double y0, double x1, double y1, Colour colour, double thick = 1.0,
            std::string_view dash = "solid");
  void rectangle(const Box& box, Colour fill);
  /// Entries from left to right, in as many rows as they need; at most `rows`, the last entry then
  /// tells how many are missing. Returns the height used.
  double legend(double x, double y, double width, const std::vector<Key>& keys, int rows);

  /// Begins a plot in the box: margins, ranges, grid, ticks and the axes' titles.
  void axes(const Box& box, const Ruler& x, const Ruler& y);
  /// A block of numbers; its name. An empty row breaks the line.
  std::string data(const std::string& rows);
  /// The plot itself, of gnuplot's "plot" elements, and all texts and lines put down so far.
  void plot(const std::vector<std::string>& elements);

  void command(std::string_view text);
  std::string take() { return std::move(script_); }
  /// About how wide a text is, in pixels: what layout goes by.
  static double text_width(std::string_view what, double size, bool bold = false);

 private:
  std::string at(double x, double y) const;
  double width_, height_;
  int blocks_ = 0;
  std::string script_;
};

/// The dashes of a line: those of its stroke, or what tells it from others of its colour.
std::string dash_of(int colour, Stroke stroke);

/// Height of a panel that is `width` wide, and the panel at its place.
double panel_height(const LinePanel& panel, double width);
double panel_height(const BarPanel& panel, double width);
double panel_height(const MatrixPanel& panel, double width);
/// The width that a matrix would have.
double panel_width(const MatrixPanel& panel);
void put_panel(Page& page, const LinePanel& panel, const Box& box);
void put_panel(Page& page, const BarPanel& panel, const Box& box);
void put_panel(Page& page, const MatrixPanel& panel, const Box& box);

}  // namespace nibble
