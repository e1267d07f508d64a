// SPDX-License-Identifier: Apache-2.0
#include "plot/run_metrics.h"

#include <algorithm>
#include <cmath>

#include "base/quote.h"

namespace nibble {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// Beyond that no axis has sensible numbers, and differences are not finite.
constexpr double kLargest = 1e100;
constexpr size_t kMostMetrics = 256;

constexpr const char* kRemedy = "; correct the line, or leave it out with --skip-bad";

// Python and others write NaN and Infinity, which JSON does not have.
bool holds_not_a_number(std::string_view line) {
  for (const std::string_view word : {": NaN", ":NaN", ": Infinity", ":Infinity", ": -Infinity",
                                      ":-Infinity", ": nan", ": inf", ": -inf", ":nan", ":inf"})
    if (line.find(word) != std::string_view::npos) return true;
  return false;
}

Json parse_line(std::string_view line, const std::string& place) {
  try {
    return parse_json(line, place);
  } catch (const DataError&) {
    if (holds_not_a_number(line))
      throw DataError(cat(place, ": NaN or Infinity is no number", kRemedy));
    throw DataError(cat(place, ": not a JSON object (cut short?)", kRemedy));
  }
}

bool is_known(const std::string& name) {
  const auto& known = known_metrics();
  return std::any_of(known.begin(), known.end(), [&](const Metric& m) { return m.name == name; });
}

// The values' mean over the last 1/25 of the steps that have one.
double mean_at_end(const Curve& curve) {
  std::vector<double> there;
  for (const double v : curve.values)
    if (std::isfinite(v)) there.push_back(v);
  if (there.empty()) return kNaN;
  const size_t count = std::max<size_t>(1, there.size() / 25);
  double sum = 0;
  for (size_t i = there.size() - count; i < there.size(); ++i) sum += there[i];
  return sum / static_cast<double>(count);
}

}  // namespace

const std::vector<Metric>& known_metrics() {
  using S = Metric::Summary;
  static const std::vector<Metric> known = {
      {"loss", "loss", {.title = "nats per token", .scale = Scale::kAuto}, S::kLast, true},
      {"validation_loss",
       "validation loss",
       {.title = "nats per token", .scale = Scale::kAuto},
       S::kLeast,
       true},
      {"learning_rate", "learning rate", {.from_zero = true}, S::kMost, false},
      {"grad_norm",
       "gradient norm",
       {.title = "before clipping", .scale = Scale::kAuto},
       S::kMean,
       true},
      {"tokens_per_second", "speed", {.title = "tokens/s", .from_zero = true}, S::kMean, false},
      {"peak_rss",
       "memory",
       {.title = "peak", .unit = Unit::kBytes, .from_zero = true},
       S::kMost,
       true},
      {"peak_device",
       "device memory",
       {.title = "peak", .unit = Unit::kBytes, .from_zero = true},
       S::kMost,
       true}};
  return known;
}

Metric metric_of(const std::string& name) {
  for (const Metric& m : known_metrics())
    if (m.name == name) return m;
  return {.name = name, .title = name, .axis = {.scale = Scale::kAuto}};
}

const Curve* RunMetrics::find(std::string_view metric) const {
  for (const auto& [known, curve] : curves)
    if (known == metric) return &curve;
  return nullptr;
}

std::string RunMetrics::option(std::string_view wanted) const {
  const Json* options = run.find("options");
  const Json* value = options ? options->find(wanted) : nullptr;
  if (!value) return "";
  return value->is_string() ? value->as_string() : value->dump();
}

std::string RunMetrics::planned_metric() const {
  return find("planned_device") ? "peak_device" : "peak_rss";
}

uint64_t RunMetrics::planned_bytes() const {
  const Curve* device = find("planned_device");
  const Curve* told = device ? device : find("planned_rss");
  const double bytes = told && !told->values.empty() ? told->values.back() : 0.0;
  return bytes > 0 && bytes < 0x1p56 ? static_cast<uint64_t>(bytes) : 0;
}

bool RunMetrics::finished() const {
  const Json* steps = run.find("steps");
  return steps && steps->is_number() && last_step > 0 &&
         static_cast<double>(last_step) >= steps->as_number();
}

double summary_of(const RunMetrics& run, const Metric& metric) {
  const Curve* curve = run.find(metric.name);
  if (!curve) return kNaN;
  if (metric.summary == Metric::Summary::kLast) return mean_at_end(*curve);
  double result = kNaN, sum = 0, count = 0;
  for (const double v : curve->values) {
    if (!std::isfinite(v)) continue;
    sum += v;
    ++count;
    const bool better = metric.summary == Metric::Summary::kLeast ? v < result : v > result;
    if (count == 1 || better) result = v;
  }
  return metric.summary == Metric::Summary::kMean && count > 0 ? sum / count : result;
}

Curve& MetricsParser::curve(const std::string& name, const std::string& place) {
  for (auto& [known, curve] : into_.curves)
    if (known == name) return curve;
  if (into_.curves.size() >= kMostMetrics)
    throw DataError(cat(place, ": more than ", kMostMetrics,
                        " kinds of numbers; is this what nibble-train writes with --metrics?"));
  return into_.curves.emplace_back(name, Curve{}).second;
}

void MetricsParser::cut_from(double step) {
  for (auto& [name, curve] : into_.curves) {
    const auto keep = std::lower_bound(curve.steps.begin(), curve.steps.end(), step);
    curve.values.resize(static_cast<size_t>(keep - curve.steps.begin()));
    curve.steps.erase(keep, curve.steps.end());
  }
}

void MetricsParser::add(std::string_view line, const std::string& place) {
  const Json record = parse_line(line, place);
  const Json* step = record.find("step");
  if (!step)
    throw DataError(cat(place, record.is_object() ? ": no \"step\"" : ": not a JSON object",
                        "; is this what nibble-train writes with --metrics?"));
  if (!step->is_integer() || step->as_number() < 0 || step->as_number() > 1e15)
    throw DataError(cat(place, ": \"step\" is no number of a step", kRemedy));
  const double at = step->as_number();
  if (const Json* run = record.find("run"); run && run->is_object()) {
    into_.run = *run;
    into_.curves.clear();  // whatever stands before is another run's
    into_.last_step = 0;
    return;
  }
  // All is looked at before any is taken: a bad record leaves nothing behind.
  std::vector<std::pair<std::string, double>> values;
  for (const auto& [name, value] : record.as_object()) {
    if (name == "step") continue;
    const bool number = value.is_number() || value.is_null();
    if (!number && is_known(name))
      throw DataError(cat(place, ": ", quote(name), " is ",
                          value.is_string() ? "a text" : "something else", ", not a number",
                          kRemedy));
    if (!number) continue;
    const double v = value.is_null() ? kNaN : value.as_number();
    if (std::abs(v) > kLargest)
      throw DataError(cat(place, ": ", quote(name), " is beyond all bounds", kRemedy));
    values.emplace_back(name, v);
  }
  for (const auto& [name, value] : values)
    if (const Curve& c = curve(name, place); !c.steps.empty() && c.steps.back() >= at) cut_from(at);
  for (const auto& [name, value] : values) {
    Curve& c = curve(name, place);
    c.steps.push_back(at);
    c.values.push_back(value);
  }
  into_.last_step = static_cast<int64_t>(at);
}

}  // namespace nibble
