// SPDX-License-Identifier: Apache-2.0
#include "plot/page.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plot/image.h"
#include "plot/words.h"

namespace nibble {

std::string gnuplot_literal(std::string_view text, size_t limit) {
  // A doubled quote stands for one, but not at the start of a literal and not twice in a row.
  std::string out = "'";
  for (const char c : clean(text, limit)) out += c == '\'' ? std::string("’") : std::string(1, c);
  return out + "'";
}

std::string dash_of(int colour, Stroke stroke) {
  if (stroke == Stroke::kDashed) return "(6,4)";
  switch (colour / kSeriesColours % 3) {
    case 1:
      return "(12,3)";
    case 2:
      return "(2,3)";
    default:
      return "solid";
  }
}

// By DejaVu Sans, the widest of the usual fonts: letters are about 0.6 of the size wide.
double Page::text_width(std::string_view what, double size, bool bold) {
  return (bold ? 0.69 : 0.61) * size * static_cast<double>(width(what));
}

std::string Page::at(double x, double y) const {
  return cat("screen ", x / width_, ",", 1.0 - y / height_);
}

void Page::command(std::string_view text) {
  script_ += text;
  script_ += '\n';
}

void Page::text(double x, double y, std::string_view what, const TextStyle& style) {
  if (what.empty()) return;
  const char* align = style.align == Align::kLeft     ? "left"
                      : style.align == Align::kCenter ? "center"
                                                      : "right";
  command(cat("set label ", gnuplot_literal(what, 400), " at ", at(x, y), " ", align,
              style.upright ? " rotate by 90" : "", " front font '",
              style.bold ? "sans-serif:Bold," : "sans-serif,", style.size, "' tc rgb '",
              hex(style.colour), "'"));
}

void Page::line(double x0, double y0, double x1, double y1, Colour colour, double thick,
                std::string_view dash) {
  command(cat("set arrow from ", at(x0, y0), " to ", at(x1, y1), " nohead front lc rgb '",
              hex(colour), "' lw ", thick, " dt ", dash));
}

void Page::rectangle(const Box& box, Colour fill) {
  command(cat("set object rectangle from ", at(box.left, box.top), " to ",
              at(box.right(), box.bottom()), " front fs solid noborder fc rgb '", hex(fill), "'"));
}

double Page::legend(double x, double y, double width, const std::vector<Key>& keys, int rows) {
  constexpr double kRow = 19, kSample = 26, kGap = 20;
  double at_x = x;
  int row = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::string name = clean(keys[i].name, 44);
    const double need = kSample + text_width(name, 12);
    const bool fits = at_x + need <= x + width || at_x == x;
    if (!fits) {
      at_x = x;
      ++row;
    }
    const double mid = y + kRow * row + kRow / 2;
    // Room for "and N more" where the last row is.
    const bool last = row == rows - 1 && i + 1 < keys.size() &&
                      at_x + need + kGap + text_width("and 99 more", 12) > x + width;
    if (last || row >= rows) {
      text(at_x, mid, cat("and ", keys.size() - i, " more"), {.colour = kSoftInk});
      break;
    }
    const Colour colour = series_colour(keys[i].colour);
    if (keys[i].swatch)
      rectangle({at_x + 4, mid - 6, 14, 12}, keys[i].ground);
    else if (keys[i].stroke == Stroke::kFaint)
      line(at_x, mid, at_x + 20, mid, blend(colour, kPaper, 0.6), 1.5);
    else
      line(at_x, mid, at_x + 20, mid, colour, 2.5, dash_of(keys[i].colour, keys[i].stroke));
    if (keys[i].stroke == Stroke::kPoints && !keys[i].swatch)
      command(cat("set label '' at ", at(at_x + 10, mid), " point pt 7 ps 0.7 lc rgb '",
                  hex(colour), "' front"));
    text(at_x + kSample, mid, name);
    at_x += need + kGap;
  }
  return keys.empty() ? 0.0 : kRow * (std::min(row, rows - 1) + 1);
}

void Page::axes(const Box& box, const Ruler& x, const Ruler& y) {
  command(cat("set lmargin at screen ", box.left / width_, "\nset rmargin at screen ",
              box.right() / width_, "\nset tmargin at screen ", 1.0 - box.top / height_,
              "\nset bmargin at screen ", 1.0 - box.bottom() / height_));
  const auto axis = [&](const char* name, const Ruler& r) {
    command(cat(r.log ? "set" : "unset", " logscale ", name, r.log ? " 10" : ""));
    command(cat("set ", name, "range [", r.low, ":", r.high, "]"));
    std::string ticks;
    for (const Tick& t : r.ticks)
      ticks += cat(ticks.empty() ? "" : ", ", gnuplot_literal(t.label), " ", t.value);
    command(ticks.empty() ? cat("unset ", name, "tics")
                          : cat("set ", name, "tics (", ticks, ") nomirror scale 0.4 font ",
                                "'sans-serif,11' tc rgb '", hex(kSoftInk), "'"));
  };
  axis("x", x);
  axis("y", y);
}

std::string Page::data(const std::string& rows) {
  const std::string name = cat("$d", blocks_++);
  script_ += cat(name, " << EOD\n", rows, "EOD\n");
  return name;
}

void Page::plot(const std::vector<std::string>& elements) {
  std::string all = "plot NaN notitle";
  for (const std::string& e : elements) all += cat(", ", e);
  command(all);
  command("unset label\nunset arrow\nunset object\nunset logscale");
}

}  // namespace nibble
