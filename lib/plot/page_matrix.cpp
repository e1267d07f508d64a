// SPDX-License-Identifier: Apache-2.0
// A matrix on a page: a heat map with its numbers, or verdicts.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plot/matrix_scale.h"
#include "plot/page.h"
#include "plot/words.h"

namespace nibble {
namespace {

constexpr double kCellRow = 34, kScaleWidth = 14;

std::vector<Key> keys_of(const MatrixPanel& panel) {
  std::vector<Key> keys;
  for (const auto& [tint, name] : panel.legend)
    keys.push_back({name, 0, Stroke::kLine, true, tint_colour(tint)});
  return keys;
}

double names_width(const std::vector<std::string>& names, size_t limit) {
  double widest = 0;
  for (const std::string& name : names)
    widest = std::max(widest, Page::text_width(clean(name, limit), 12));
  return widest;
}

// The scale at the right: its colours, its ends.
void put_scale(Page& page, const MatrixScale& scale, const Box& box) {
  constexpr int kSteps = 64;
  const double step = box.height / kSteps;
  for (int i = 0; i < kSteps; ++i)  // each a little taller: no seams
    page.rectangle({box.left, box.bottom() - step * (i + 1), kScaleWidth, step + (i > 0 ? 0.6 : 0)},
                   scale.colour_at((i + 0.5) / kSteps));
  page.text(box.left + kScaleWidth + 6, box.bottom() - 6, short_number(scale.low),
            {.size = 11, .colour = kSoftInk});
  page.text(box.left + kScaleWidth + 6, box.top + 6, short_number(scale.high),
            {.size = 11, .colour = kSoftInk});
}

}  // namespace

double panel_height(const MatrixPanel& panel, double width) {
  Page page(width, width);
  const double legend = page.legend(0, 0, width, keys_of(panel), 4);
  return 30 + legend + (legend > 0 ? 8 : 0) + 24 + (panel.column_title.empty() ? 0 : 20) +
         kCellRow * static_cast<double>(panel.rows.size()) + 12;
}

namespace {

// Where cells begin and how wide they are, in a box that wide; none is wider than it needs to be.
struct Columns {
  double left, cell, scale;  // scale: the width beside the cells
};

Columns lay_out(const MatrixPanel& panel, double width) {
  const bool ruled = MatrixScale(panel).any && !panel.value_title.empty();
  double widest = names_width(panel.columns, 24);
  for (const auto& row : panel.cells)
    for (const Cell& cell : row)
      widest = std::max(widest, Page::text_width(clean(cell.text, 24), 12));
  Columns c = {.left = (panel.row_title.empty() ? 0 : 22) + names_width(panel.rows, 40) + 10,
               .cell = std::max(76.0, widest + 26),
               .scale = ruled ? std::max(84.0, 26 + Page::text_width(panel.value_title, 11)) : 4};
  const double columns = static_cast<double>(std::max<size_t>(panel.columns.size(), 1));
  c.cell = std::min(c.cell, (width - c.left - c.scale) / columns);
  return c;
}

}  // namespace

double panel_width(const MatrixPanel& panel) {
  Page page(1e5, 1e5);
  const Columns c = lay_out(panel, 1e5);
  double needed = c.left + c.cell * static_cast<double>(panel.columns.size()) + c.scale;
  needed = std::max(needed, Page::text_width(panel.title, 14, true));
  for (const Key& key : keys_of(panel))
    needed = std::max(needed, Page::text_width(key.name, 12) + 60);
  return needed;
}

void put_panel(Page& page, const MatrixPanel& panel, const Box& box) {
  const MatrixScale scale(panel);
  page.text(box.left, box.top + 9, clean(panel.title, 110), {.size = 14, .bold = true});
  const double legend = page.legend(box.left, box.top + 26, box.width, keys_of(panel), 4);
  const double top =
      box.top + 30 + legend + (legend > 0 ? 8 : 0) + 24 + (panel.column_title.empty() ? 0 : 20);
  const double rows = static_cast<double>(std::max<size_t>(panel.rows.size(), 1));
  const Columns columns = lay_out(panel, box.width);
  const bool ruled = scale.any && !panel.value_title.empty();
  const double left = box.left + columns.left, cell = columns.cell;
  const double right = left + cell * static_cast<double>(std::max<size_t>(panel.columns.size(), 1));
  const double bottom = std::min(box.bottom() - 12, top + rows * 40),
               height = (bottom - top) / rows;

  if (!panel.column_title.empty())
    page.text((left + right) / 2, top - 34, clean(panel.column_title, 60),
              {.align = Align::kCenter, .colour = kSoftInk});
  if (!panel.row_title.empty())
    page.text(box.left + 8, (top + bottom) / 2, clean(panel.row_title, 40),
              {.upright = true, .align = Align::kCenter, .colour = kSoftInk});
  const auto limit = static_cast<size_t>(std::max(cell / 7.0, 3.0));
  // Names that are too wide are written smaller before they are cut.
  const double shrunk = 12.0 * cell / std::max(names_width(panel.columns, 24), 1.0);
  const double size = std::clamp(shrunk, 9.0, 12.0);
  for (size_t c = 0; c < panel.columns.size(); ++c)
    page.text(left + cell * (static_cast<double>(c) + 0.5), top - 12,
              clean(panel.columns[c], shrunk >= 9.0 ? 24 : limit),
              {.size = size, .align = Align::kCenter});
  for (size_t r = 0; r < panel.rows.size(); ++r) {
    const double y = top + height * static_cast<double>(r);
    page.text(left - 8, y + height / 2, clean(panel.rows[r], 40), {.align = Align::kRight});
    for (size_t c = 0; r < panel.cells.size() && c < panel.cells[r].size(); ++c) {
      if (c >= panel.columns.size()) break;
      const Cell& it = panel.cells[r][c];
      const double x = left + cell * static_cast<double>(c);
      const Colour ground = scale.ground(it);
      if (it.tint != Tint::kNone) page.rectangle({x + 1, y + 1, cell - 2, height - 2}, ground);
      page.text(
          x + cell / 2, y + height / 2, clean(it.text, limit),
          {.align = Align::kCenter, .colour = it.tint == Tint::kNone ? kSoftInk : text_on(ground)});
    }
  }
  if (ruled) {
    put_scale(page, scale, {right + 18, top + 2, kScaleWidth, bottom - top - 4});
    page.text(right + 18, top - 12, clean(panel.value_title, 30), {.size = 11, .colour = kSoftInk});
  }
  page.command("unset border\nunset grid");
  page.axes({left, top, right - left, bottom - top}, Ruler{}, Ruler{});
  page.plot({});
  page.command(cat("set border 3 lw 1 lc rgb '#9a9a9a'\nset grid xtics ytics lt 1 lw 1 lc rgb '",
                   hex(kGrid), "'"));
}

}  // namespace nibble
