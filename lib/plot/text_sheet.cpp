// SPDX-License-Identifier: Apache-2.0
#include "plot/text_sheet.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/error.h"
#include "plot/words.h"

namespace nibble {

constexpr Colour kGrey = {0x80, 0x80, 0x80};

std::string Pen::code(Colour c, bool ground) const {
  const char* base = ground ? "48" : "38";
  if (colours_ == Colours::kTrue)
    return cat(base, ";2;", int{c.red}, ";", int{c.green}, ";", int{c.blue});
  return cat(base, ";5;", nearest_of_256(c));
}

Pen& Pen::with(const std::string& code, std::string_view text) {
  if (text.empty()) return *this;
  if (colours_ == Colours::kNone)
    row_.text += text;
  else
    row_.text += cat("\x1b[", code, "m", text, "\x1b[0m");
  row_.columns += static_cast<int>(nibble::width(text));
  return *this;
}

Pen& Pen::plain(std::string_view text) {
  row_.text += text;
  row_.columns += static_cast<int>(nibble::width(text));
  return *this;
}
Pen& Pen::bold(std::string_view text) {
  return with("1", text);
}
Pen& Pen::soft(std::string_view text) {
  return with(code(kGrey, false), text);
}
Pen& Pen::in(Colour colour, std::string_view text) {
  return with(code(colour, false), text);
}
Pen& Pen::on(Colour ground, std::string_view text) {
  return with(cat(code(text_on(ground), false), ";", code(ground, true)), text);
}
Pen& Pen::to(int column) {
  if (column > row_.columns) plain(std::string(static_cast<size_t>(column - row_.columns), ' '));
  return *this;
}

std::string_view series_mark(int colour, Glyphs glyphs) {
  static constexpr std::string_view kAscii = "*+ox#%@";
  static constexpr std::string_view kShapes = "●▲■◆○△□";  // 3 bytes each
  const auto i = static_cast<size_t>(std::max(colour, 0)) % kSeriesColours;
  return glyphs == Glyphs::kAscii ? kAscii.substr(i, 1) : kShapes.substr(3 * i, 3);
}

DotCanvas::DotCanvas(int columns, int rows, Glyphs glyphs, bool marks)
    : columns_(std::max(columns, 1)),
      rows_(std::max(rows, 1)),
      across_(marks || glyphs == Glyphs::kAscii ? 1 : 2),
      down_(marks || glyphs == Glyphs::kAscii ? 1
            : glyphs == Glyphs::kBlocks       ? 2
                                              : 4),
      glyphs_(glyphs),
      marks_(marks || glyphs == Glyphs::kAscii),
      cells_(static_cast<size_t>(columns_ * rows_)) {}

void DotCanvas::dot(int x, int y, int colour, bool faint) {
  if (x < 0 || y < 0 || x >= width() || y >= height()) return;
  Character& c = cells_[static_cast<size_t>(y / down_ * columns_ + x / across_)];
  if (c.colour != colour || c.faint != faint) c = {colour, faint, 0};
  c.dots = static_cast<uint8_t>(c.dots | 1U << (y % down_ * across_ + x % across_));
}

void DotCanvas::line(int x0, int y0, int x1, int y1, int colour, bool faint, bool dashed) {
  const int dx = std::abs(x1 - x0), dy = std::abs(y1 - y0), steps = std::max({dx, dy, 1});
  for (int i = 0; i <= steps; ++i) {
    if (dashed && i / 3 % 2 == 1) continue;
    const double share = static_cast<double>(i) / steps;
    const auto along = [&](int a, int b) {
      return a + static_cast<int>((b - a) * share + (b >= a ? 0.5 : -0.5));
    };
    dot(along(x0, x1), along(y0, y1), colour, faint);
  }
}

std::string DotCanvas::glyph(const Character& c) const {
  if (marks_)
    return c.faint ? (glyphs_ == Glyphs::kAscii ? "." : "·")
                   : std::string(series_mark(c.colour, glyphs_));
  if (glyphs_ == Glyphs::kBlocks) {
    // Left above, right above, left below, right below: 1, 2, 4, 8.
    static constexpr std::string_view kQuarters = "▘▝▀▖▌▞▛▗▚▐▜▄▙▟█";
    return std::string(kQuarters.substr(3 * ((c.dots & 15U) - 1), 3));
  }
  // Unicode numbers braille dots 1 to 3 down the left column, 4 to 6 down the right, 7 and 8 below.
  static constexpr std::array<uint8_t, 8> kDots = {0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80};
  unsigned code = 0x2800;
  for (size_t i = 0; i < kDots.size(); ++i)
    if (c.dots >> i & 1U) code |= kDots[i];
  return {static_cast<char>(0xe0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3f)),
          static_cast<char>(0x80 | (code & 0x3f))};
}

void DotCanvas::write(int row, Pen& pen) const {
  const Character* cells = &cells_[static_cast<size_t>(row * columns_)];
  for (int begin = 0, end = 0; begin < columns_; begin = end) {
    const Character& first = cells[begin];
    std::string text;
    for (; end < columns_; ++end) {
      if (cells[end].colour != first.colour || cells[end].faint != first.faint) break;
      text += first.colour < 0 ? " " : glyph(cells[end]);
    }
    const Colour colour = series_colour(first.colour);
    if (first.colour < 0)
      pen.plain(text);
    else
      pen.in(first.faint ? blend(colour, kGrey, 0.65) : colour, text);
  }
}

std::string line_mark(int colour, Stroke stroke, const PanelSpace& space) {
  const bool ascii = space.glyphs == Glyphs::kAscii;
  if (space.marks || ascii) {
    if (stroke == Stroke::kFaint) return ascii ? "." : "·";
    return std::string(series_mark(colour, space.glyphs));
  }
  return stroke == Stroke::kFaint ? "┈┈" : stroke == Stroke::kDashed ? "╌╌" : "━━";
}

TextRows text_legend(const std::vector<TextKey>& keys, const PanelSpace& space) {
  TextRows rows;
  for (const TextKey& key : keys) {
    const std::string name = clean(key.name, static_cast<size_t>(std::max(8, space.columns - 8)));
    const int need = static_cast<int>(width(key.mark) + width(name)) + 1;
    if (rows.empty() || rows.back().columns + need + 3 > space.columns) rows.emplace_back();
    Pen pen(rows.back(), space.colours);
    pen.plain(rows.back().columns == 0 ? " " : "   ").in(key.colour, key.mark).plain(" " + name);
  }
  return rows;
}

}  // namespace nibble
