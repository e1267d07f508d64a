// SPDX-License-Identifier: Apache-2.0
#include "plot/sweep.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "base/quote.h"
#include "plot/ticks.h"

namespace nibble {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kMostValues = 64;

// Options that say where, not what.
bool bears_on_result(const std::string& option) {
  static const std::vector<std::string> kNot = {
      "out",     "metrics", "resume", "profile", "progress",   "quiet", "verbose",    "config",
      "threads", "keep",    "seed",   "json",    "save-every", "help",  "eval-every", "version"};
  return std::find(kNot.begin(), kNot.end(), option) == kNot.end();
}

double number_of(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && at == end && std::isfinite(value) ? value : kNaN;
}

// The values of an option, numbers by size before words.
std::vector<std::string> values_of(std::span<const RunMetrics> runs, const std::string& option) {
  std::vector<std::string> out;
  for (const RunMetrics& run : runs)
    if (const std::string v = run.option(option); std::find(out.begin(), out.end(), v) == out.end())
      out.push_back(v);
  std::sort(out.begin(), out.end(), [](const std::string& a, const std::string& b) {
    const double x = number_of(a), y = number_of(b);
    if (std::isnan(x) != std::isnan(y)) return !std::isnan(x);
    return std::isnan(x) ? a < b : x < y;
  });
  return out;
}

bool all_numbers(const std::vector<std::string>& values) {
  return std::none_of(values.begin(), values.end(),
                      [](const auto& v) { return std::isnan(number_of(v)); });
}

std::string key_of(const RunMetrics& run, const std::vector<std::string>& options) {
  std::string key;
  for (const std::string& option : options) key += run.option(option) + '\0';
  return key;
}

// Whether the option has one value wherever the others agree.
bool follows(std::span<const RunMetrics> runs, const std::vector<std::string>& others,
             const std::string& option) {
  std::map<std::string, std::string> seen;
  for (const RunMetrics& run : runs)
    if (!seen.emplace(key_of(run, others), run.option(option)).second &&
        seen[key_of(run, others)] != run.option(option))
      return false;
  return true;
}

struct Sweep {
  std::span<const RunMetrics> runs;
  Metric metric;
  std::vector<std::string> options;
  std::map<std::string, std::pair<double, int>> sums;  // by key
  double low = kNaN, high = kNaN;

  double value(const std::vector<std::string>& at) const {
    std::string key;
    for (const std::string& v : at) key += v + '\0';
    const auto found = sums.find(key);
    return found == sums.end() ? kNaN : found->second.first / found->second.second;
  }
  std::string text(double v) const {
    if (std::isnan(v)) return "–";
    return metric.axis.unit == Unit::kBytes ? short_bytes(v) : even_number(v, high);
  }
};

Sweep measure(std::span<const RunMetrics> runs, std::vector<std::string> options,
              const std::string& metric) {
  Sweep s = {.runs = runs, .metric = sweep_metric(runs, metric), .options = std::move(options)};
  for (const RunMetrics& run : runs) {
    const double v = summary_of(run, s.metric);
    if (std::isnan(v)) continue;
    auto& [sum, count] = s.sums[key_of(run, s.options)];
    sum += v;
    ++count;
  }
  if (s.sums.empty())
    throw DataError(cat("--metric: no run has ", quote(s.metric.name),
                        "; name one of those that --to=table shows"));
  Extent extent;
  for (const auto& [key, sum] : s.sums) extent.take(sum.first / sum.second);
  s.low = extent.low;
  s.high = extent.high;
  return s;
}

MatrixPanel matrix(const Sweep& s, const std::string& third) {
  const auto rows = values_of(s.runs, s.options[0]), columns = values_of(s.runs, s.options[1]);
  MatrixPanel panel = {.title = s.metric.title,
                       .row_title = s.options[0],
                       .column_title = s.options[1],
                       .value_title = s.metric.axis.title,
                       .low_is_good = s.metric.low_is_good,
                       .scale = Scale::kAuto,
                       .range = std::pair(s.low, s.high)};
  if (s.options.size() > 2) panel.title += cat(", ", s.options[2], " ", shown_value(third));
  for (const std::string& v : columns) panel.columns.push_back(shown_value(v));
  for (const std::string& r : rows) {
    panel.rows.push_back(shown_value(r));
    auto& cells = panel.cells.emplace_back();
    for (const std::string& c : columns) {
      std::vector<std::string> at = {r, c};
      if (s.options.size() > 2) at.push_back(third);
      const double v = s.value(at);
      cells.push_back({s.text(v), std::isnan(v) ? Tint::kNone : Tint::kValue, v});
    }
  }
  return panel;
}

// Along option `x`, a line for each value of `by` (an index, or none: one line).
LinePanel lines(const Sweep& s, size_t x, size_t by) {
  LinePanel panel = {.title = s.metric.title, .x = {.title = s.options[x]}, .y = s.metric.axis};
  const auto along = values_of(s.runs, s.options[x]);
  for (const std::string& v : along) panel.x.at.push_back(number_of(v));
  // Sweeps go by factors more often than by steps.
  const auto& at = panel.x.at;
  if (at.front() > 0 && at.back() >= 4 * at.front()) panel.x.scale = Scale::kLog;
  const auto others =
      by < s.options.size() ? values_of(s.runs, s.options[by]) : std::vector<std::string>{""};
  for (size_t i = 0; i < others.size(); ++i) {
    Line line = {.colour = static_cast<int>(i), .stroke = Stroke::kPoints};
    if (by < s.options.size()) line.name = cat(s.options[by], " ", shown_value(others[i]));
    for (const std::string& v : along) {
      std::vector<std::string> key(s.options.size());
      key[x] = v;
      if (by < s.options.size()) key[by] = others[i];
      line.x.push_back(number_of(v));
      line.y.push_back(s.value(key));
    }
    panel.lines.push_back(std::move(line));
  }
  return panel;
}

BarPanel bars(const Sweep& s) {
  BarPanel panel = {.title = cat(s.metric.title, " by ", s.options[0]), .value = s.metric.axis};
  for (const std::string& v : values_of(s.runs, s.options[0])) {
    const double value = s.value({v});
    panel.rows.push_back({shown_value(v), {value}, s.text(value)});
  }
  return panel;
}

std::vector<std::string> checked(std::span<const RunMetrics> runs,
                                 const std::vector<std::string>& wanted) {
  const bool told =
      std::any_of(runs.begin(), runs.end(), [](const auto& r) { return r.run.find("options"); });
  if (!told)
    throw DataError(
        "--sweep: the metrics do not tell the runs' options; train them with this version");
  const auto differing = differing_options(runs);
  std::string names;
  for (const std::string& d : differing) names += (names.empty() ? "" : ",") + d;
  if (wanted.empty() && differing.empty())
    throw UsageError("--sweep: the runs do not differ in an option");
  if ((wanted.empty() ? differing : wanted).size() > 3)
    throw UsageError(cat("--sweep: three options at most fit a figure; name them, of ", names));
  for (const std::string& option : wanted) {
    const auto known = std::any_of(runs.begin(), runs.end(),
                                   [&](const auto& r) { return !r.option(option).empty(); });
    if (!known)
      throw UsageError(cat("--sweep: ", quote(option),
                           " is no option of these runs; they differ in ",
                           names.empty() ? "none" : names));
  }
  auto chosen = wanted.empty() ? differing : wanted;
  // Of three, one that is no number parts the maps.
  if (wanted.empty() && chosen.size() == 3)
    std::stable_partition(chosen.begin(), chosen.end(),
                          [&](const auto& name) { return all_numbers(values_of(runs, name)); });
  for (const std::string& option : chosen)
    if (values_of(runs, option).size() > kMostValues)
      throw UsageError(cat("--sweep: ", quote(option), " has more than ", kMostValues,
                           " values; give fewer runs"));
  return chosen;
}

}  // namespace

std::string shown_value(const std::string& value) {
  const double number = number_of(value);
  if (std::isnan(number)) return value.empty() ? "(none)" : value;
  return std::abs(number) < 1e4 ? short_number(number, 4) : value;
}

std::vector<std::string> differing_options(std::span<const RunMetrics> runs) {
  std::vector<std::string> names = {"rank", "targets", "learning-rate"};
  for (const RunMetrics& run : runs)
    if (const Json* options = run.run.find("options"); options && options->is_object())
      for (const auto& [name, value] : options->as_object())
        if (bears_on_result(name) && std::find(names.begin(), names.end(), name) == names.end())
          names.push_back(name);
  std::vector<std::string> chosen;
  for (const std::string& name : names)
    if (!follows(runs, chosen, name)) chosen.push_back(name);
  return chosen;
}

Metric sweep_metric(std::span<const RunMetrics> runs, const std::string& name) {
  if (!name.empty()) return metric_of(name);
  const bool validated = std::all_of(runs.begin(), runs.end(),
                                     [](const auto& r) { return r.find("validation_loss"); });
  return metric_of(validated ? "validation_loss" : "loss");
}

Figure draw_sweep(std::span<const RunMetrics> runs, const SweepOptions& options) {
  const Sweep s = measure(runs, checked(runs, options.options), options.metric);
  Figure figure = {.title = options.title};
  if (figure.title.empty()) {
    figure.title = s.metric.title + " by ";
    for (size_t i = 0; i < s.options.size(); ++i)
      figure.title += (i == 0 ? "" : i + 1 == s.options.size() ? " and " : ", ") + s.options[i];
  }
  const RunMetrics* best = nullptr;
  for (const RunMetrics& run : runs) {
    const double v = summary_of(run, s.metric);
    if (std::isnan(v)) continue;
    const double least = best ? summary_of(*best, s.metric) : kNaN;
    if (!best || (s.metric.low_is_good ? v < least : v > least)) best = &run;
  }
  figure.subtitle = cat(runs.size(), " runs; best ", s.text(summary_of(*best, s.metric)), " at");
  for (const std::string& option : s.options)
    figure.subtitle += cat(" ", option, "=", shown_value(best->option(option)));

  const auto is_numeric = [&](size_t i) { return all_numbers(values_of(runs, s.options[i])); };
  if (s.options.size() == 1) {
    if (is_numeric(0))
      figure.panels.push_back(lines(s, 0, 1));
    else
      figure.panels.push_back(bars(s));
    return figure;
  }
  if (s.options.size() == 3) {
    for (const std::string& third : values_of(runs, s.options[2]))
      figure.panels.push_back(matrix(s, third));
    return figure;
  }
  figure.panels.push_back(matrix(s, ""));
  const size_t x = is_numeric(1) ? 1 : 0;
  if (is_numeric(x)) figure.panels.push_back(lines(s, x, 1 - x));
  return figure;
}

}  // namespace nibble
