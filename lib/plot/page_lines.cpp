// SPDX-License-Identifier: Apache-2.0
// Lines on a page.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plot/page.h"
#include "plot/words.h"

namespace nibble {
namespace {

std::vector<Key> keys_of(const LinePanel& panel) {
  std::vector<Key> keys;
  for (const Line& line : panel.lines)
    if (!line.name.empty()) keys.push_back({line.name, line.colour, line.stroke, false, {}});
  return keys;
}

// What gnuplot reads: a point a row, an empty row at a gap or where a scale has no place for it.
std::string rows_of(const Line& line, bool log_x, bool log_y) {
  std::string rows;
  bool broken = true;
  for (size_t i = 0; i < std::min(line.x.size(), line.y.size()); ++i) {
    const double x = line.x[i], y = line.y[i];
    const bool there =
        std::isfinite(x) && std::isfinite(y) && (!log_x || x > 0) && (!log_y || y > 0);
    if (there)
      rows += cat(x, " ", y, "\n");
    else if (!broken)
      rows += "\n";
    broken = !there;
  }
  return rows;
}

}  // namespace

double panel_height(const LinePanel& panel, double width) {
  Page page(width, width);
  return 290 + page.legend(0, 0, width, keys_of(panel), 4);
}

void put_panel(Page& page, const LinePanel& panel, const Box& box) {
  Extent ex, ey;
  for (const Line& line : panel.lines) {
    ex.take(line.x);
    ey.take(line.y);
  }
  Page measure(box.width, box.width);
  const double legend = measure.legend(0, 0, box.width, keys_of(panel), 4);
  const double top = box.top + 26 + (legend > 0 ? legend + 4 : 0), bottom = box.bottom() - 40;
  const Ruler y = make_ruler(panel.y, ey, std::max(3, int((bottom - top) / 42)));
  double labels = 0;
  for (const Tick& t : y.ticks) labels = std::max(labels, Page::text_width(t.label, 11));
  const double left = box.left + labels + 14;
  const Ruler x = make_ruler(panel.x, ex, std::max(3, int((box.right() - left) / 75)), true);

  page.text(box.left, box.top + 9, clean(panel.title.empty() ? y.title : panel.title, 80),
            {.size = 14, .bold = true});
  if (!panel.title.empty() && !y.title.empty() && y.title != panel.title)
    page.text(box.left + Page::text_width(clean(panel.title, 80), 14, true) + 12, box.top + 10,
              y.title, {.colour = kSoftInk});
  page.legend(box.left, box.top + 24, box.width, keys_of(panel), 4);
  page.text((left + box.right()) / 2, bottom + 32, x.title,
            {.align = Align::kCenter, .colour = kSoftInk});
  page.axes({left, top, box.right() - left - 8, bottom - top}, x, y);
  if (!ex.any || !ey.any)
    page.text((left + box.right()) / 2, (top + bottom) / 2, "nothing to draw",
              {.align = Align::kCenter, .colour = kSoftInk});

  std::vector<std::string> elements;
  for (const bool faint : {true, false})
    for (const Line& line : panel.lines) {
      if (faint != (line.stroke == Stroke::kFaint)) continue;
      const std::string rows = rows_of(line, x.log, y.log);
      if (rows.empty()) continue;
      const Colour colour =
          faint ? blend(series_colour(line.colour), kPaper, 0.6) : series_colour(line.colour);
      // A single value is no line.
      const bool points =
          line.stroke == Stroke::kPoints || std::count(rows.begin(), rows.end(), '\n') == 1;
      elements.push_back(cat(page.data(rows), " using 1:2 with ", points ? "linespoints" : "lines",
                             " lc rgb '", hex(colour), "' lw ", faint ? 1.0 : 2.0, " dt ",
                             dash_of(line.colour, line.stroke), points ? " pt 7 ps 0.6" : "",
                             " notitle"));
    }
  page.plot(elements);
}

}  // namespace nibble
