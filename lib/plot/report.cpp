// SPDX-License-Identifier: Apache-2.0
#include "plot/report.h"

#include <algorithm>
#include <cmath>

#include "plot/completions.h"
#include "plot/image.h"
#include "plot/sweep.h"
#include "plot/ticks.h"
#include "plot/words.h"

namespace nibble {
namespace {

constexpr const char* kHead = R"(<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body { font: 15px/1.5 sans-serif; color: #222; background: #fff; max-width: 1240px;
  margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.6em; margin-bottom: 0 } h2 { font-size: 1.15em; margin-top: 2em }
table { border-collapse: collapse; margin: .5em 0 } td, th { padding: .15em .9em .15em 0;
  text-align: left; vertical-align: top } th { color: #5f5f5f; font-weight: normal }
tr { border-bottom: 1px solid #e4e4e4 } td.n { text-align: right;
  font-variant-numeric: tabular-nums } tr.own td { background: #fdf6d8 }
code, pre { font: 13px/1.45 monospace; white-space: pre-wrap; overflow-wrap: anywhere }
.wide { overflow-x: auto } .soft { color: #5f5f5f } svg { max-width: 100%; height: auto }
.said { border-left: 3px solid #0072b2; padding-left: .8em; margin: .3em 0 1.4em }
.asked { border-left: 3px solid #c8c8c8; padding-left: .8em; margin: .3em 0; color: #444 }
</style>
)";

std::string cell(std::string_view text, bool number = false) {
  return cat(number ? "<td class=\"n\">" : "<td>", escaped(text), "</td>");
}

std::string text_of(const Json* value) {
  if (!value || value->is_null()) return "";
  return value->is_string() ? value->as_string() : value->dump();
}

// A drawing as it stands in a page: without the lines that make it a file of its own.
std::string inline_svg(const Figure& figure, const std::string& names) {
  std::string svg = draw_image(figure, {.width = 1200, .names = names});
  const size_t begin = svg.find("<svg");
  return "<div>" + svg.substr(begin == std::string::npos ? 0 : begin) + "</div>\n";
}

std::string runs_part(const std::vector<RunMetrics>& runs, const ReportOptions& o) {
  const RunsTable table = table_of(runs, o.metric);
  std::string out = "<div class=\"wide\"><table>\n<tr>";
  for (const std::string& column : table.columns) out += cat("<th>", escaped(column), "</th>");
  out += "</tr>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) out += cell(row[i], i > 0);
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

// Options that the runs record: those that differ, or were given, stand out.
std::string options_part(const std::vector<RunMetrics>& runs) {
  std::vector<std::string> names;
  for (const RunMetrics& run : runs)
    if (const Json* options = run.run.find("options"); options && options->is_object())
      for (const auto& [name, value] : options->as_object())
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  if (names.empty()) return "<p class=\"soft\">The metrics do not tell them.</p>\n";
  std::string out = "<div class=\"wide\"><table>\n";
  if (runs.size() > 1) {
    out += "<tr><th>option</th>";
    for (const RunMetrics& run : runs) out += cat("<th>", escaped(run.name), "</th>");
    out += "</tr>\n";
  }
  for (const std::string& name : names) {
    bool differs = false, any = false;
    for (const RunMetrics& run : runs) {
      differs = differs || run.option(name) != runs[0].option(name);
      any = any || !run.option(name).empty();
    }
    if (!any) continue;
    out += differs ? "<tr class=\"own\">" : "<tr>";
    out += cat("<td><code>--", escaped(name), "</code></td>");
    for (const RunMetrics& run : runs) out += cell(run.option(name));
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string memory_part(const RunMetrics& run, size_t index, bool several) {
  const auto planned = static_cast<double>(run.planned_bytes());
  const double measured = summary_of(run, metric_of(run.planned_metric()));
  std::string out;
  if (several) out += cat("<h3>", escaped(run.name), "</h3>\n");
  if (planned == 0 && std::isnan(measured))
    return out + "<p class=\"soft\">The metrics tell nothing of it.</p>\n";
  out += "<p>";
  if (planned > 0) out += cat("Planned ", short_bytes(planned));
  if (!std::isnan(measured))
    out += cat(planned > 0 ? ", measured " : "Measured ", short_bytes(measured), " at its peak");
  if (planned > 0 && !std::isnan(measured)) {
    const double share = 100.0 * (measured / planned - 1.0);
    out += cat(": ", short_bytes(std::abs(measured - planned)), " (",
               short_number(std::abs(share), 2), "%) ", share > 0 ? "more" : "less");
  }
  out += ".</p>\n";
  if (planned > 0) out += inline_svg({.panels = {memory_bars(run)}}, cat("memory", index, "-"));
  return out;
}

std::string completions_part(const ReportOptions& o) {
  std::string out;
  for (const Completion& c : read_completions(o.completions, o.samples))
    out += cat("<div class=\"asked\"><pre>", escaped(c.prompt),
               "</pre></div>\n<div class=\"said\"><pre>", escaped(c.text), "</pre></div>\n");
  return out;
}

std::string versions_part(const std::vector<RunMetrics>& runs, const ReportOptions& o) {
  std::string out = "<div class=\"wide\"><table>\n";
  for (const RunMetrics& run : runs) {
    const std::string by = text_of(run.run.find("version"));
    out +=
        cat("<tr>", cell(run.name), cell(by.empty() ? "not recorded" : "trained by nibble " + by),
            cell("threads: " + text_of(run.run.find("threads"))),
            cell(text_of(run.run.find("cpu"))), cell(run.path), "</tr>\n");
  }
  return out + cat("</table></div>\n<p class=\"soft\">Report by nibble-plot ", escaped(o.version),
                   "; curves drawn by gnuplot.</p>\n");
}

std::string facts(const RunMetrics& run) {
  std::string out;
  const auto number = [&](const char* name, const char* what) {
    if (const Json* v = run.run.find(name); v && v->is_number())
      out += cat(out.empty() ? "" : ", ", short_number(v->as_number()), " ", what);
  };
  number("trainable", "trained parameters");
  number("parameters", "in the model");
  number("steps", "steps planned");
  return out;
}

}  // namespace

BarPanel memory_bars(const RunMetrics& run) {
  BarPanel panel = {.title = "memory planned by item", .value = {.unit = Unit::kBytes}};
  const Json* plan = run.run.find("plan");
  if (plan && plan->is_object())
    for (const auto& [name, bytes] : plan->as_object())
      if (bytes.is_number() && bytes.as_number() > 0)
        panel.rows.push_back({name, {bytes.as_number()}, short_bytes(bytes.as_number())});
  const auto planned = static_cast<double>(run.planned_bytes());
  panel.marks.emplace_back("planned in all", planned);
  if (const double measured = summary_of(run, metric_of(run.planned_metric()));
      std::isfinite(measured))
    panel.marks.emplace_back("measured peak", measured);
  return panel;
}

std::string html_report(const std::vector<RunMetrics>& runs, const ReportOptions& o) {
  const bool several = runs.size() > 1;
  Figure curves = draw_curves(runs, o.curves);
  const std::string title = curves.title;
  std::string out = cat("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<title>", escaped(title),
                        "</title>\n", kHead, "</head>\n<body>\n<h1>", escaped(title), "</h1>\n");
  if (!several) {
    out += cat("<p class=\"soft\">", escaped(facts(runs[0])), "</p>\n");
    if (!curves.subtitle.empty()) out += cat("<pre>", escaped(curves.subtitle), "</pre>\n");
  }
  out += runs_part(runs, o);
  curves.title.clear();
  curves.subtitle.clear();
  out += "<h2>Curves</h2>\n" + inline_svg(curves, "curves-");
  const auto differing = differing_options(runs);
  if (several && !differing.empty() && differing.size() <= 3)
    out += "<h2>Sweep</h2>\n" + inline_svg(draw_sweep(runs, {.metric = o.metric}), "sweep-");
  out += "<h2>Memory</h2>\n";
  constexpr size_t kMostMemory = 4;
  for (size_t i = 0; i < std::min(runs.size(), kMostMemory); ++i)
    out += memory_part(runs[i], i, several);
  if (runs.size() > kMostMemory)
    out += "<p class=\"soft\">The other runs' are in the table above.</p>\n";
  if (!o.completions.empty()) out += "<h2>Completions</h2>\n" + completions_part(o);
  out += "<h2>Options</h2>\n" + options_part(runs);
  out += "<h2>Versions</h2>\n" + versions_part(runs, o);
  return out + "</body>\n</html>\n";
}

}  // namespace nibble
