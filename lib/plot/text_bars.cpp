// SPDX-License-Identifier: Apache-2.0
// Bars as text.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "plot/text_sheet.h"
#include "plot/ticks.h"
#include "plot/words.h"

namespace nibble {
namespace {

// What a part of a bar is filled with.
std::string fill(size_t part, const PanelSpace& space) {
  static constexpr std::array<const char*, 4> kShades = {"█", "▓", "▒", "░"};
  static constexpr std::array<const char*, 6> kAscii = {"#", "=", "+", "-", "o", "."};
  if (space.glyphs == Glyphs::kAscii) return kAscii[part % kAscii.size()];
  return space.colours == Colours::kNone ? kShades[part % kShades.size()] : kShades[0];
}

std::string repeated(const std::string& text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

int whole(double columns) {
  return static_cast<int>(std::lround(std::max(columns, 0.0)));
}

// The parts of a bar, each as long as it adds to the whole.
void draw_bar(Pen& pen, const BarRow& row, double per_column, const PanelSpace& space) {
  double sum = 0;
  for (size_t k = 0; k < row.values.size(); ++k) {
    if (!std::isfinite(row.values[k])) continue;
    const int from = whole(sum / per_column);
    sum += row.values[k];
    const int count = whole(sum / per_column) - from;
    pen.in(series_colour(static_cast<int>(k)), repeated(fill(k, space), count));
    // Something is never nothing.
    if (row.values.size() == 1 && count == 0 && row.values[k] > 0)
      pen.in(series_colour(0), space.glyphs == Glyphs::kAscii ? "|" : "▏");
  }
}

TextRows heading(const std::string& title, const PanelSpace& space) {
  TextRows rows(1);
  Pen(rows[0], space.colours)
      .plain(" ")
      .bold(clean(title, static_cast<size_t>(std::max(space.columns - 2, 8))));
  return rows;
}

void append(TextRows& rows, TextRows more) {
  for (TextRow& row : more) rows.push_back(std::move(row));
}

}  // namespace

TextRows draw_panel(const BarPanel& panel, const PanelSpace& space) {
  const auto third = static_cast<size_t>(space.columns / 3);
  const auto name_of = [&](const BarRow& row) {
    return clean(row.name, std::min<size_t>(36, third));
  };
  const auto note_of = [&](const BarRow& row) {
    return clean(row.note, std::min<size_t>(30, third));
  };
  size_t names = 0, notes = 0;
  Extent extent;
  extent.take(0.0);
  for (const BarRow& row : panel.rows) {
    names = std::max(names, width(name_of(row)));
    notes = std::max(notes, width(note_of(row)));
    double sum = 0;
    for (const double v : row.values) sum += std::isfinite(v) ? v : 0.0;
    extent.take(sum);
  }
  for (const auto& [name, value] : panel.marks) extent.take(value);
  TextRows rows = heading(panel.title, space);
  std::vector<TextKey> keys;
  if (panel.parts.size() > 1)
    for (size_t k = 0; k < panel.parts.size(); ++k)
      keys.push_back(
          {panel.parts[k], repeated(fill(k, space), 2), series_colour(static_cast<int>(k))});
  append(rows, text_legend(keys, space));

  const int left = static_cast<int>(names) + 2;
  const int room = std::max(space.columns - left - static_cast<int>(notes) - 2, 3);
  const double per_column = extent.high > 0 ? extent.high / room : 1.0;
  const std::string bar = space.glyphs == Glyphs::kAscii ? "|" : "┊";
  for (const BarRow& row : panel.rows) {
    TextRow out;
    Pen pen(out, space.colours);
    pen.plain(" ").plain(padded(name_of(row), names)).plain(" ");
    draw_bar(pen, row, per_column, space);
    pen.plain(" ").soft(note_of(row));
    for (const auto& [name, value] : panel.marks)
      if (const int at = left + whole(value / per_column); at >= out.columns) pen.to(at).soft(bar);
    rows.push_back(std::move(out));
  }
  for (const auto& [name, value] : panel.marks) {
    TextRow out;
    const int at = std::min(left + whole(value / per_column), space.columns - 1);
    const std::string told = clean(name, static_cast<size_t>(std::max(at, space.columns - at)) - 2);
    const int size = static_cast<int>(width(told));
    Pen pen(out, space.colours);
    if (at + size + 2 > space.columns)
      pen.to(std::max(at - size - 1, 0)).soft(told + " " + bar);
    else
      pen.to(at).soft(bar + " " + told);
    rows.push_back(std::move(out));
  }
  return rows;
}

}  // namespace nibble
