// SPDX-License-Identifier: Apache-2.0
#include "score/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "base/error.h"

namespace nibble {
namespace {

// Null where it is no number.
Json finite(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

std::string shown(double value, int decimals) {
  if (!std::isfinite(value)) return "-";
  char text[400];  // the longest of doubles is below
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::vector<Measured const*> measured_of(const ScoreReport& report) {
  std::vector<Measured const*> all;
  for (const MetricReport& m : report.metrics) all.push_back(m.measured);
  return all;
}

std::vector<std::vector<std::string>> titles_of(std::span<const Measured* const> metrics) {
  std::map<std::string, int> uses;
  for (const Measured* m : metrics)
    for (const ScoreName& name : m->names) ++uses[name.name];
  std::vector<std::vector<std::string>> titles;
  for (const Measured* m : metrics) {
    std::vector<std::string>& own = titles.emplace_back();
    for (const ScoreName& name : m->names)
      own.push_back(uses[name.name] == 1 ? name.name : cat(m->label, ".", name.name));
  }
  return titles;
}

// Rows of cells, the first column to the left and all others to the right.
std::vector<std::string> align(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::vector<std::string> lines;
  for (const auto& row : rows) {
    std::string line = row[0];
    for (size_t c = 1; c < row.size(); ++c) {
      line.append(widths[c - 1] - (c == 1 ? row[0].size() : widths[c - 1]), ' ');
      line.append(2 + widths[c] - row[c].size(), ' ');
      line += row[c];
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

std::vector<std::vector<std::string>> score_titles(std::span<const Measured> metrics) {
  std::vector<const Measured*> all;
  for (const Measured& m : metrics) all.push_back(&m);
  return titles_of(all);
}

std::string trials_text(const ScoreReport& report) {
  std::string text;
  if (report.test == "bootstrap")
    text += cat("bs:", report.trials, "|");
  else if (report.bootstrap > 0)
    text += cat("bs:", report.bootstrap, "|");
  if (report.test == "randomization") text += cat("ar:", report.trials, "|");
  return text.empty() ? text : cat(text, "seed:", report.seed, "|");
}

Json report_json(const ScoreReport& report) {
  Json out = Json::object({{"examples", report.examples}});
  if (report.bootstrap > 0) out.set("bootstrap", report.bootstrap);
  if (!report.test.empty()) {
    out.set("against", report.against);
    out.set("test", report.test);
    out.set("trials", report.trials);
  }
  if (report.bootstrap > 0 || !report.test.empty()) out.set("seed", report.seed);
  Json::Array metrics;
  for (const MetricReport& m : report.metrics) {
    Json metric = Json::object({{"metric", m.measured->label}});
    if (!m.signature.empty()) metric.set("signature", m.signature);
    Json scores = Json::object(), intervals = Json::object(), against = Json::object(),
         p = Json::object();
    for (size_t s = 0; s < m.scores.size(); ++s) {
      const std::string& name = m.measured->names[s].name;
      scores.set(name, finite(m.scores[s]));
      if (!m.intervals.empty())
        intervals.set(name, Json::object({{"mean", finite(m.intervals[s].mean)},
                                          {"low", finite(m.intervals[s].low)},
                                          {"high", finite(m.intervals[s].high)}}));
      if (!m.against.empty()) against.set(name, finite(m.against[s]));
      if (!m.p.empty()) p.set(name, finite(m.p[s]));
    }
    metric.set("scores", std::move(scores));
    if (!m.intervals.empty()) metric.set("intervals", std::move(intervals));
    if (!m.against.empty()) metric.set("against", std::move(against));
    if (!m.p.empty()) metric.set("p", std::move(p));
    metrics.push_back(std::move(metric));
  }
  out.set("metrics", std::move(metrics));
  return out;
}

std::vector<std::string> report_table(const ScoreReport& report, bool verbose) {
  const auto titles = titles_of(measured_of(report));
  std::vector<std::string> head = {"score", "value"};
  if (report.bootstrap > 0) head.insert(head.end(), {"low", "high"});
  if (!report.test.empty()) head.insert(head.end(), {"against", "difference", "p"});
  std::vector<std::vector<std::string>> rows = {head};
  for (size_t k = 0; k < report.metrics.size(); ++k) {
    const MetricReport& m = report.metrics[k];
    for (size_t s = 0; s < m.scores.size(); ++s) {
      const ScoreName& name = m.measured->names[s];
      if (name.detail && !verbose) continue;
      std::vector<std::string> row = {titles[k][s], shown(m.scores[s], name.decimals)};
      if (report.bootstrap > 0 && m.intervals.empty()) row.insert(row.end(), {"-", "-"});
      if (!m.intervals.empty()) {
        row.push_back(shown(m.intervals[s].low, name.decimals));
        row.push_back(shown(m.intervals[s].high, name.decimals));
      }
      if (!m.against.empty()) {
        row.push_back(shown(m.against[s], name.decimals));
        row.push_back(shown(m.scores[s] - m.against[s], name.decimals));
        row.push_back(m.p.empty() ? "-" : shown(m.p[s], 4));
      }
      rows.push_back(std::move(row));
    }
  }
  std::vector<std::string> lines = align(rows);
  for (const MetricReport& m : report.metrics)
    if (!m.signature.empty()) lines.push_back(cat("# ", m.measured->label, "|", m.signature));
  return lines;
}

std::string example_json(const ScoreExample& example, int64_t number,
                         std::span<const Measured> metrics,
                         std::span<const std::vector<std::string>> titles,
                         std::span<const std::vector<double>> scores) {
  std::string out = cat("{\"example\":", number);
  if (!example.id.empty()) {
    out += ",\"id\":";
    append_json_string(out, example.id);
  }
  for (size_t k = 0; k < metrics.size(); ++k)
    for (size_t s = 0; s < scores[k].size(); ++s) {
      if (!metrics[k].names[s].of_example) continue;
      out += ',';
      append_json_string(out, titles[k][s]);
      out += ':';
      out += finite(scores[k][s]).dump();
    }
  return out + "}";
}

}  // namespace nibble
