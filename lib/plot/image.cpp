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

// Panels in rows from the top: those of lines beside each other, others as wide as the page.
struct Placed {
  const Panel* panel;
  Box box;
};

std::vector<Placed> place(const Figure& figure, double width, double top) {
  std::vector<Placed> out;
  const double inner = width - 2 * kMargin, half = (inner - kGutter) / 2;
  const auto lines = [](const Panel& p) { return std::holds_alternative<LinePanel>(p); };
  for (size_t i = 0; i < figure.panels.size();) {
    const bool pair = i + 1 < figure.panels.size() && lines(figure.panels[i]) &&
                      lines(figure.panels[i + 1]) && half >= kNarrow;
    double height = 0;
    for (size_t k = 0; k < (pair ? 2 : 1); ++k, ++i) {
      const double w = pair ? half : inner;
      const double left = kMargin + (pair ? static_cast<double>(k) * (half + kGutter) : 0.0);
      const double h = height_of(figure.panels[i], w);
      out.push_back({&figure.panels[i], {left, top, w, h}});
      height = std::max(height, h);
    }
    if (pair) out[out.size() - 2].box.height = out.back().box.height = height;
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
