// SPDX-License-Identifier: Apache-2.0
// Lines as text.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plot/text_sheet.h"
#include "plot/ticks.h"
#include "plot/words.h"

namespace nibble {
namespace {

void draw_line(DotCanvas& canvas, const Line& line, const Ruler& x, const Ruler& y) {
  const auto dots = [](double share, int count) {
    return static_cast<int>(std::lround(std::clamp(share, -0.1, 1.1) * (count - 1)));
  };
  const bool faint = line.stroke == Stroke::kFaint;
  bool open = false;
  int last_x = 0, last_y = 0;
  for (size_t i = 0; i < std::min(line.x.size(), line.y.size()); ++i) {
    const bool there = std::isfinite(line.x[i]) && std::isfinite(line.y[i]) &&
                       (!x.log || line.x[i] > 0) && (!y.log || line.y[i] > 0);
    if (there) {
      const int at_x = dots(x.share(line.x[i]), canvas.width());
      const int at_y = canvas.height() - 1 - dots(y.share(line.y[i]), canvas.height());
      if (open)
        canvas.line(last_x, last_y, at_x, at_y, line.colour, faint, line.stroke == Stroke::kDashed);
      else
        canvas.dot(at_x, at_y, line.colour, faint);
      last_x = at_x;
      last_y = at_y;
    }
    open = there;
  }
}

// The bottom: "└──┬─────┬──" with the numbers under it.
void draw_bottom(TextRows& rows, const Ruler& x, int left, int columns, const PanelSpace& space) {
  const bool ascii = space.glyphs == Glyphs::kAscii;
  const std::string along = ascii ? "-" : "─", tick = ascii ? "+" : "┬";
  std::vector<std::pair<int, std::string>> labels;
  for (const Tick& t : x.ticks)
    labels.emplace_back(static_cast<int>(std::lround(x.share(t.value) * (columns - 1))), t.label);
  TextRow axis, numbers;
  Pen pen(axis, space.colours), below(numbers, space.colours);
  pen.to(left);
  std::string text = ascii ? "+" : "└";
  for (int i = 0; i < columns; ++i)
    text += std::any_of(labels.begin(), labels.end(), [&](auto& l) { return l.first == i; })
                ? tick
                : along;
  pen.soft(text);
  for (const auto& [at, label] : labels) {
    const int size = static_cast<int>(width(label));
    const int begin = std::min(left + 1 + at - size / 2, space.columns - size);
    if (begin < numbers.columns + (numbers.columns > 0 ? 1 : 0)) continue;
    below.to(begin).soft(label);
  }
  // The unit goes where the numbers leave room, else below.
  const std::string title = clean(x.title, static_cast<size_t>(columns));
  rows.push_back(axis);
  const int begin = space.columns - static_cast<int>(width(title));
  if (begin > numbers.columns + 1) {
    below.to(begin).soft(title);
    rows.push_back(numbers);
  } else {
    rows.push_back(numbers);
    TextRow unit;
    Pen(unit, space.colours).to(std::max(begin, 0)).soft(title);
    rows.push_back(unit);
  }
}

}  // namespace

TextRows draw_panel(const LinePanel& panel, const PanelSpace& space) {
  Extent ex, ey;
  std::vector<TextKey> keys;
  for (const Line& line : panel.lines) {
    ex.take(line.x);
    ey.take(line.y);
    if (!line.name.empty())
      keys.push_back(
          {line.name, line_mark(line.colour, line.stroke, space), series_colour(line.colour)});
  }
  const int height = space.canvas_rows;
  const Ruler y = make_ruler(panel.y, ey, std::clamp(height / 2, 2, 6));
  size_t labels = 0;
  for (const Tick& t : y.ticks) labels = std::max(labels, width(t.label));
  const int left = static_cast<int>(labels) + 1, columns = std::max(space.columns - left - 1, 8);
  const Ruler x = make_ruler(panel.x, ex, std::clamp(columns / 12, 2, 9), true);

  TextRows rows(1);
  Pen title(rows[0], space.colours);
  const auto limit = [&] {
    return static_cast<size_t>(std::max(space.columns - rows[0].columns - 2, 0));
  };
  title.plain(" ").bold(clean(panel.title.empty() ? y.title : panel.title, limit()));
  if (!panel.title.empty() && y.title != panel.title) title.soft("  " + clean(y.title, limit()));
  for (TextRow& row : text_legend(keys, space)) rows.push_back(std::move(row));

  DotCanvas canvas(columns, height, space.glyphs, space.marks);
  for (const bool faint : {true, false})
    for (const Line& line : panel.lines)
      if (faint == (line.stroke == Stroke::kFaint)) draw_line(canvas, line, x, y);
  std::vector<std::string> numbers(static_cast<size_t>(height));
  for (const Tick& t : y.ticks) {
    const auto row = static_cast<size_t>(std::lround((1.0 - y.share(t.value)) * (height - 1)));
    if (row < numbers.size() && numbers[row].empty()) numbers[row] = t.label;
  }
  const bool ascii = space.glyphs == Glyphs::kAscii;
  for (int r = 0; r < height; ++r) {
    TextRow row;
    Pen pen(row, space.colours);
    const std::string& number = numbers[static_cast<size_t>(r)];
    pen.soft(padded(number, labels, false) + " ");
    pen.soft(number.empty() ? (ascii ? "|" : "│") : (ascii ? "+" : "┤"));
    canvas.write(r, pen);
    rows.push_back(std::move(row));
  }
  draw_bottom(rows, x, left, columns, space);
  return rows;
}

}  // namespace nibble
