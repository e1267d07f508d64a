// SPDX-License-Identifier: Apache-2.0
// Runs as a table.
#include <algorithm>
#include <cmath>

#include "plot/sweep.h"
#include "plot/ticks.h"
#include "plot/words.h"

namespace nibble {
namespace {

constexpr size_t kMostOptions = 8;

// Best first; runs without the number last.
std::vector<const RunMetrics*> ranked(std::span<const RunMetrics> runs, const Metric& metric) {
  std::vector<const RunMetrics*> order;
  for (const RunMetrics& run : runs) order.push_back(&run);
  const auto value = [&](const RunMetrics* run) {
    const double v = summary_of(*run, metric);
    return std::isnan(v) ? std::numeric_limits<double>::infinity() : metric.low_is_good ? v : -v;
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](const auto* a, const auto* b) { return value(a) < value(b); });
  return order;
}

std::string text_of(double value, const Metric& metric, double largest) {
  if (std::isnan(value)) return "–";
  return metric.axis.unit == Unit::kBytes ? short_bytes(value) : even_number(value, largest);
}

std::vector<Metric> metrics_of(std::span<const RunMetrics> runs, const std::string& metric) {
  std::vector<Metric> out;
  for (const Metric& m : known_metrics()) {
    const bool has = std::any_of(runs.begin(), runs.end(), [&](auto& r) { return r.find(m.name); });
    if (has && m.name != "learning_rate") out.push_back(m);
  }
  const bool there =
      std::any_of(out.begin(), out.end(), [&](const Metric& m) { return m.name == metric; });
  if (!metric.empty() && !there) out.push_back(metric_of(metric));
  return out;
}

}  // namespace

RunsTable table_of(std::span<const RunMetrics> runs, const std::string& metric) {
  RunsTable table = {.columns = {"run"}, .rows = {}};
  auto options = differing_options(runs);
  options.resize(std::min(options.size(), kMostOptions));
  const auto metrics = metrics_of(runs, metric);
  for (const std::string& option : options) table.columns.push_back(option);
  table.columns.emplace_back("steps");
  std::vector<Extent> extents(metrics.size());
  for (size_t i = 0; i < metrics.size(); ++i) {
    table.columns.push_back(metrics[i].title);
    for (const RunMetrics& run : runs) extents[i].take(summary_of(run, metrics[i]));
  }
  for (const RunMetrics* run : ranked(runs, sweep_metric(runs, metric))) {
    auto& row = table.rows.emplace_back();
    row.push_back(run->name);
    for (const std::string& option : options) row.push_back(shown_value(run->option(option)));
    const Json* steps = run->run.find("steps");
    const bool half = steps && steps->is_integer() && !run->finished();
    row.push_back(half ? cat(run->last_step, "/", steps->as_integer()) : cat(run->last_step));
    for (size_t i = 0; i < metrics.size(); ++i)
      row.push_back(text_of(summary_of(*run, metrics[i]), metrics[i], extents[i].high));
  }
  return table;
}

std::string table_text(const RunsTable& table) {
  std::vector<size_t> widths(table.columns.size());
  const auto measure = [&](const std::vector<std::string>& row) {
    for (size_t c = 0; c < row.size(); ++c)
      widths[c] = std::max(widths[c], width(clean(row[c], 40)));
  };
  measure(table.columns);
  for (const auto& row : table.rows) measure(row);
  std::string out;
  const auto write = [&](const std::vector<std::string>& row) {
    for (size_t c = 0; c < row.size(); ++c) {
      // Names stand to the left, numbers to the right.
      const std::string cell = padded(clean(row[c], 40), widths[c], c == 0);
      out += (c == 0 ? "" : "  ") + cell;
    }
    out.erase(out.find_last_not_of(' ') + 1);
    out += '\n';
  };
  write(table.columns);
  for (const auto& row : table.rows) write(row);
  return out;
}

Json table_json(std::span<const RunMetrics> runs, const std::string& metric) {
  Json out = Json::array();
  const auto options = differing_options(runs);
  const auto metrics = metrics_of(runs, metric);
  for (const RunMetrics* run : ranked(runs, sweep_metric(runs, metric))) {
    Json record = Json::object({{"run", run->name}, {"path", run->path}});
    Json differing = Json::object();
    for (const std::string& option : options) differing.set(option, run->option(option));
    record.set("options", std::move(differing));
    record.set("steps", run->last_step);
    record.set("finished", run->run.is_null() ? Json() : Json(run->finished()));
    for (const Metric& m : metrics)
      if (const double v = summary_of(*run, m); !std::isnan(v)) record.set(m.name, v);
    if (const uint64_t planned = run->planned_bytes()) record.set("planned_bytes", planned);
    out.as_array().push_back(std::move(record));
  }
  return out;
}

}  // namespace nibble
