// SPDX-License-Identifier: Apache-2.0
// Lying bars on a page.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plot/page.h"
#include "plot/words.h"

namespace nibble {
namespace {

constexpr double kBarRow = 27, kMarkGap = 12;

std::vector<Key> keys_of(const BarPanel& panel) {
  std::vector<Key> keys;
  if (panel.parts.size() > 1)
    for (size_t i = 0; i < panel.parts.size(); ++i)
      keys.push_back({panel.parts[i], 0, Stroke::kLine, true, series_colour(static_cast<int>(i))});
  return keys;
}

}  // namespace

double panel_height(const BarPanel& panel, double width) {
  Page page(width, width);
  const double legend = page.legend(0, 0, width, keys_of(panel), 4);
  return 26 + legend + (legend > 0 ? 6 : 0) + kBarRow * static_cast<double>(panel.rows.size()) +
         (panel.marks.empty() ? 6 : 24) + 44;
}

void put_panel(Page& page, const BarPanel& panel, const Box& box) {
  Extent extent;
  extent.take(0.0);
  double names = 0, notes = 0;
  for (const BarRow& row : panel.rows) {
    double sum = 0;
    for (const double v : row.values)
      if (std::isfinite(v)) sum += v;
    extent.take(sum);
    names = std::max(names, Page::text_width(clean(row.name, 48), 12));
    notes = std::max(notes, Page::text_width(clean(row.note, 40), 11));
  }
  for (const auto& [name, value] : panel.marks) extent.take(value);
  page.text(box.left, box.top + 9, clean(panel.title, 100), {.size = 14, .bold = true});
  const double legend = page.legend(box.left, box.top + 24, box.width, keys_of(panel), 4);
  const double top = box.top + 26 + legend + (legend > 0 ? 6 : 0) + (panel.marks.empty() ? 0 : 18);
  const double left = box.left + names + 12, bottom = box.bottom() - 44;
  const double right = box.right() - (notes > 0 ? notes + 14 : 8);
  Axis value = panel.value;
  value.from_zero = true;
  value.scale = Scale::kLinear;
  const Ruler x = make_ruler(value, extent, std::max(3, int((right - left) / 85)));
  const auto rows = static_cast<double>(std::max<size_t>(panel.rows.size(), 1));
  Ruler y;
  y.low = -rows + 0.5;
  y.high = 0.5;
  page.axes({left, top, right - left, bottom - top}, x, y);
  page.text((left + right) / 2, bottom + 32, x.title,
            {.align = Align::kCenter, .colour = kSoftInk});

  const auto place = [&](double v) { return left + (right - left) * x.share(v); };
  std::vector<std::string> data(std::max<size_t>(panel.parts.size(), 1));
  for (size_t i = 0; i < panel.rows.size(); ++i) {
    const BarRow& row = panel.rows[i];
    const double mid = top + (bottom - top) * (static_cast<double>(i) + 0.5) / rows;
    page.text(left - 8, mid, clean(row.name, 48), {.align = Align::kRight});
    double from = 0;
    for (size_t k = 0; k < std::min(row.values.size(), data.size()); ++k) {
      if (!std::isfinite(row.values[k])) continue;
      const auto y0 = -static_cast<double>(i);
      data[k] += cat(from, " ", y0, " ", from, " ", from + row.values[k], " ", y0 - 0.33, " ",
                     y0 + 0.33, "\n");
      from += row.values[k];
    }
    page.text(place(from) + 7, mid, clean(row.note, 40), {.size = 11, .colour = kSoftInk});
  }
  // The names of marks stand above the plot, moved apart where they would meet: to the right, and
  // what then lies outside back to the left.
  auto marks = panel.marks;
  std::erase_if(marks, [](const auto& mark) { return !std::isfinite(mark.second); });
  std::sort(marks.begin(), marks.end(), [](auto& m, auto& n) { return m.second < n.second; });
  std::vector<double> centres, halves;
  for (const auto& [name, v] : marks) {
    halves.push_back(Page::text_width(clean(name, 40), 11) / 2);
    const double free =
        centres.empty() ? left : centres.back() + halves[halves.size() - 2] + kMarkGap;
    centres.push_back(std::max(place(v), free + halves.back()));
  }
  double end = box.right();
  for (size_t i = marks.size(); i-- > 0; end = centres[i] - halves[i] - kMarkGap)
    centres[i] = std::min(centres[i], end - halves[i]);
  for (size_t i = 0; i < marks.size(); ++i) {
    const double at = place(marks[i].second);
    page.line(at, top - 4, at, bottom, kInk, 1.5, "(5,4)");
    page.text(centres[i], top - 12, clean(marks[i].first, 40),
              {.size = 11, .align = Align::kCenter});
  }
  std::vector<std::string> elements;
  for (size_t k = 0; k < data.size(); ++k)
    if (!data[k].empty())
      elements.push_back(cat(page.data(data[k]), " using 1:2:3:4:5:6 with boxxyerror fs solid 1 ",
                             "noborder lc rgb '", hex(series_colour(static_cast<int>(k))),
                             "' notitle"));
  page.plot(elements);
}

}  // namespace nibble
