// SPDX-License-Identifier: Apache-2.0
#include "plot/image.h"

#include <algorithm>

#include "base/error.h"
#include "plot/page.h"
#include "plot/words.h"

namespace nibble {
namespace {

constexpr double kMargin = 18, kGutter = 26, kNarrow = 380;

double height_of(const Panel& panel, double width) {
  return std::visit([&](const auto& p) { return panel_height(p, width); }, panel);
}

struct Placed {
  const Panel* panel;
  Box box;
};

// How wide a panel has to be: lines a half of the page, a matrix what its cells need.
double wanted_width(const Panel& panel, double inner) {
  const double half = (inner - kGutter) / 2;
  if (std::holds_alternative<LinePanel>(panel)) return half >= kNarrow ? half : inner;
  if (const auto* matrix = std::get_if<MatrixPanel>(&panel))
    return std::min(panel_width(*matrix), inner);
  return inner;
}

// Panels in rows from the top, as many beside each other as fit; the last of lines takes the rest.
std::vector<Placed> place(const Figure& figure, double width, double top) {
  std::vector<Placed> out;
  const double inner = width - 2 * kMargin;
  for (size_t i = 0; i < figure.panels.size();) {
    const size_t begin = out.size();
    double left = kMargin, height = 0;
    for (; i < figure.panels.size(); ++i) {
      const double w = wanted_width(figure.panels[i], inner);
      if (out.size() > begin && left + w > width - kMargin + 1) break;
      out.push_back({&figure.panels[i], {left, top, w, 0}});
      left += w + kGutter;
    }
    Placed& last = out.back();
    if (!std::holds_alternative<MatrixPanel>(*last.panel))
      last.box.width = width - kMargin - last.box.left;
    for (size_t k = begin; k < out.size(); ++k)
      height = std::max(height, height_of(*out[k].panel, out[k].box.width));
    for (size_t k = begin; k < out.size(); ++k) out[k].box.height = height;
    top += height + kGutter;
  }
  return out;
}

std::vector<Key> keys_of(const Figure& figure) {
  std::vector<Key> keys;
  for (const auto& [name, colour] : figure.legend) keys.push_back({.name = name, .colour = colour});
  return keys;
}

std::string replaced(std::string text, std::string_view what, const std::string& by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

// gnuplot names the parts of every SVG alike; in one page those of several must differ.
std::string renamed(std::string svg, const std::string& names) {
  for (const std::string end : {"gp", "gnuplot_", "textbox", "greybox"})
    for (const std::string before : {"id='", "id=\"", "href='#", "href=\"#", "url(#"})
      svg = replaced(std::move(svg), before + end, before + names + end);
  return svg;
}

}  // namespace

std::string gnuplot_script(const Figure& figure, const ImageOptions& options) {
  const double width = std::clamp(options.width, 200, 10000);
  constexpr int kLegendRows = 6;
  double top = kMargin;
  const double title = top + 8, subtitle = title + (figure.title.empty() ? 0 : 22);
  if (!figure.title.empty()) top += 28;
  if (!figure.subtitle.empty()) top += 22;
  Page measure(width, width);
  const double legend = top;
  if (const double h =
          measure.legend(kMargin, 0, width - 2 * kMargin, keys_of(figure), kLegendRows))
    top += h + 8;
  auto placed = place(figure, width, top);
  double needed = top + kMargin;
  for (const Placed& p : placed) needed = std::max(needed, p.box.bottom() + kMargin);
  const double height = options.height > 0 ? std::clamp(options.height, 120, 20000) : needed;
  // Another height than the panels need is shared out among them.
  const double stretch = (height - top - kMargin) / std::max(needed - top - kMargin, 1.0);
  for (Placed& p : placed) {
    p.box.top = top + (p.box.top - top) * stretch;
    p.box.height *= stretch;
  }

  Page page(width, height);
  const bool svg = options.format == ImageFormat::kSvg;
  page.command(cat("set encoding utf8\nset terminal ", svg ? "svg" : "pngcairo", " size ", width,
                   ",", height, " font 'sans-serif,12' noenhanced background '", hex(kPaper), "'",
                   // Cairo takes sizes for points, 96 of its pixels to 72.
                   svg ? " dynamic" : " fontscale 0.75"));
  page.command(cat("set multiplot\nunset key\nset border 3 lw 1 lc rgb '#9a9a9a'\n",
                   "set grid xtics ytics lt 1 lw 1 lc rgb '", hex(kGrid), "'"));
  page.text(kMargin, title, clean(figure.title, 110), {.size = 17, .bold = true});
  page.text(kMargin, subtitle, clean(figure.subtitle, static_cast<size_t>(width / 7.2)),
            {.size = 12, .colour = kSoftInk});
  page.legend(kMargin, legend, width - 2 * kMargin, keys_of(figure), kLegendRows);
  for (const Placed& p : placed)
    std::visit([&](const auto& panel) { put_panel(page, panel, p.box); }, *p.panel);
  page.command("unset multiplot");
  return page.take();
}

std::string draw_image(const Figure& figure, const ImageOptions& options) {
  CHECK(!figure.panels.empty());
  std::string image = run_gnuplot(gnuplot_script(figure, options));
  if (options.format == ImageFormat::kPng) return image;
  image = replaced(std::move(image), "<title>Gnuplot</title>",
                   cat("<title>", escaped(clean(figure.title, 120)), "</title>"));
  return options.names.empty() ? image : renamed(std::move(image), options.names);
}

}  // namespace nibble
