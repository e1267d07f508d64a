// SPDX-License-Identifier: Apache-2.0
// A matrix as text, in several blocks where the terminal is too narrow for all its columns.
#include <algorithm>

#include "base/error.h"
#include "plot/matrix_scale.h"
#include "plot/text_sheet.h"
#include "plot/ticks.h"
#include "plot/words.h"

namespace nibble {
namespace {

struct Layout {
  size_t names = 0, cell = 3, per_block = 1;  // columns, columns, cells
  size_t name_limit = 30;
};

Layout lay_out(const MatrixPanel& panel, int columns) {
  Layout l;
  l.name_limit = std::min<size_t>(30, static_cast<size_t>(columns) / 3);
  l.names = width(clean(panel.row_title, l.name_limit));
  size_t widest = 3;
  for (const std::string& name : panel.rows)
    l.names = std::max(l.names, width(clean(name, l.name_limit)));
  for (const std::string& name : panel.columns) widest = std::max(widest, width(clean(name, 18)));
  for (const auto& row : panel.cells)
    for (const Cell& cell : row) widest = std::max(widest, width(clean(cell.text, 18)));
  const size_t room = static_cast<size_t>(columns) - l.names - 2;
  l.cell = std::min(widest + 2, room);
  l.per_block = std::max<size_t>(room / l.cell, 1);
  return l;
}

std::string centered(const std::string& text, size_t columns) {
  const std::string word = clean(text, columns - 1);
  const size_t gap = columns - width(word);
  return std::string(gap - gap / 2, ' ') + word + std::string(gap / 2, ' ');
}

TextRow scale_row(const MatrixScale& scale, const std::string& title, int left,
                  const PanelSpace& space) {
  TextRow row;
  Pen pen(row, space.colours);
  pen.to(left).soft(short_number(scale.low) + " ");
  const int steps = std::clamp(space.columns - left - 20, 2, 16);
  if (space.colours == Colours::kNone)
    pen.soft("to");
  else
    for (int i = 0; i < steps; ++i) pen.on(scale.colour_at((i + 0.5) / steps), " ");
  pen.soft(" " + short_number(scale.high));
  const int room = space.columns - row.columns - 2;
  if (room > 0) pen.soft("  " + clean(title, static_cast<size_t>(room)));
  return row;
}

}  // namespace

TextRows draw_panel(const MatrixPanel& panel, const PanelSpace& space) {
  const MatrixScale scale(panel);
  const bool coloured = space.colours != Colours::kNone;
  TextRows rows(1);
  Pen(rows[0], space.colours)
      .plain(" ")
      .bold(clean(panel.title, static_cast<size_t>(space.columns - 2)));
  std::vector<TextKey> keys;
  for (const auto& [tint, name] : panel.legend) keys.push_back({name, "██", tint_colour(tint)});
  if (coloured)
    for (TextRow& row : text_legend(keys, space)) rows.push_back(std::move(row));

  const Layout l = lay_out(panel, space.columns);
  const int left = static_cast<int>(l.names) + 2;
  if (!panel.column_title.empty()) {
    TextRow over;
    Pen(over, space.colours)
        .to(left)
        .soft(clean(panel.column_title, static_cast<size_t>(space.columns - left)));
    rows.push_back(std::move(over));
  }
  for (size_t begin = 0; begin < panel.columns.size(); begin += l.per_block) {
    const size_t end = std::min(begin + l.per_block, panel.columns.size());
    TextRow top;
    Pen heads(top, space.colours);
    heads.plain(" ").soft(padded(clean(panel.row_title, l.name_limit), l.names)).plain(" ");
    for (size_t c = begin; c < end; ++c) heads.soft(centered(panel.columns[c], l.cell));
    rows.push_back(std::move(top));
    for (size_t r = 0; r < panel.rows.size(); ++r) {
      TextRow out;
      Pen pen(out, space.colours);
      pen.plain(" ").plain(padded(clean(panel.rows[r], l.name_limit), l.names)).plain(" ");
      const size_t have = r < panel.cells.size() ? panel.cells[r].size() : 0;
      for (size_t c = begin; c < std::min(end, have); ++c) {
        const Cell& cell = panel.cells[r][c];
        if (cell.tint == Tint::kNone || !coloured)
          pen.plain(centered(cell.text, l.cell));
        else
          pen.on(scale.ground(cell), centered(cell.text, l.cell));
      }
      rows.push_back(std::move(out));
    }
  }
  if (scale.any && !panel.value_title.empty())
    rows.push_back(scale_row(scale, panel.value_title, left, space));
  return rows;
}

}  // namespace nibble
