// SPDX-License-Identifier: Apache-2.0
#include "plot/text_drawing.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "plot/text_sheet.h"
#include "plot/words.h"

namespace nibble {
namespace {

constexpr int kBeside = 116;  // columns from which panels of lines stand beside each other
constexpr int kUsual = 11, kLeast = 5, kMost = 24;  // rows of a panel's canvas

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool is_utf8_locale() {
  std::string_view locale = variable("LC_ALL");
  if (locale.empty()) locale = variable("LC_CTYPE");
  if (locale.empty()) locale = variable("LANG");
  for (const std::string_view name : {"UTF-8", "utf-8", "UTF8", "utf8"})
    if (locale.find(name) != std::string_view::npos) return true;
  return false;
}

bool is_lines(const Panel& panel) {
  return std::holds_alternative<LinePanel>(panel);
}

// Whether colours alone tell series apart.
bool has_several_colours(const Figure& figure) {
  if (figure.legend.size() > 1) return true;
  for (const Panel& panel : figure.panels)
    if (const auto* lines = std::get_if<LinePanel>(&panel))
      for (const Line& line : lines->lines)
        if (line.colour != lines->lines.front().colour) return true;
  return false;
}

TextRows draw(const Panel& panel, const PanelSpace& space) {
  return std::visit([&](const auto& p) { return draw_panel(p, space); }, panel);
}

void append_beside(std::string& out, const TextRows& left, const TextRows& right, int column) {
  for (size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    if (i < left.size()) out += left[i].text;
    if (i < right.size()) {
      const int have = i < left.size() ? left[i].columns : 0;
      out += std::string(static_cast<size_t>(std::max(column - have, 0)), ' ') + right[i].text;
    }
    out += '\n';
  }
}

std::string draw_all(const Figure& figure, PanelSpace space) {
  std::string out;
  const auto put = [&](const TextRow& row) { out += row.text + "\n"; };
  const auto limit = static_cast<size_t>(std::max(space.columns - 1, 8));
  if (!figure.title.empty()) {
    TextRow row;
    Pen(row, space.colours).plain(" ").bold(clean(figure.title, limit));
    put(row);
  }
  if (!figure.subtitle.empty()) {
    TextRow row;
    Pen(row, space.colours).plain(" ").soft(clean(figure.subtitle, limit));
    put(row);
  }
  std::vector<TextKey> keys;
  for (const auto& [name, colour] : figure.legend)
    keys.push_back({name, line_mark(colour, Stroke::kLine, space), series_colour(colour)});
  for (const TextRow& row : text_legend(keys, space)) put(row);
  const int all = space.columns;
  for (size_t i = 0; i < figure.panels.size(); ++i) {
    const bool pair = all >= kBeside && i + 1 < figure.panels.size() &&
                      is_lines(figure.panels[i]) && is_lines(figure.panels[i + 1]);
    space.columns = pair ? (all - 3) / 2 : all;
    if (pair) {
      append_beside(out, draw(figure.panels[i], space), draw(figure.panels[i + 1], space),
                    space.columns + 3);
      ++i;
    } else {
      for (const TextRow& row : draw(figure.panels[i], space)) put(row);
    }
  }
  return out;
}

}  // namespace

TextOptions standard_output_options() {
  TextOptions o;
  o.glyphs = is_utf8_locale() ? Glyphs::kBraille : Glyphs::kAscii;
  if (::isatty(STDOUT_FILENO) != 1) return o;
  struct winsize size = {};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    o.columns = size.ws_col;
    o.rows = size.ws_row;
  }
  const std::string_view term = variable("TERM"), depth = variable("COLORTERM");
  if (!variable("NO_COLOR").empty() || term.empty() || term == "dumb") return o;
  o.colours = depth == "truecolor" || depth == "24bit" ? Colours::kTrue : Colours::k256;
  return o;
}

std::string draw_text(const Figure& figure, const TextOptions& options) {
  PanelSpace space = {
      .columns = std::clamp(options.columns, 30, 400),
      .canvas_rows = kUsual,
      .glyphs = options.glyphs,
      .colours = options.colours,
      .marks = options.marks && options.colours == Colours::kNone && has_several_colours(figure)};
  std::string text = draw_all(figure, space);
  if (options.rows <= 0) return text;
  // As high as fits: every row of a canvas costs one for each row of panels.
  const auto lines = [](const std::string& t) {
    return static_cast<int>(std::count(t.begin(), t.end(), '\n'));
  };
  while (lines(text) >= options.rows && space.canvas_rows > kLeast) {
    --space.canvas_rows;
    text = draw_all(figure, space);
  }
  while (space.canvas_rows >= kUsual && space.canvas_rows < kMost) {
    ++space.canvas_rows;
    std::string higher = draw_all(figure, space);
    if (lines(higher) >= options.rows) break;
    text = std::move(higher);
  }
  return text;
}

}  // namespace nibble
