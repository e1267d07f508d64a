// SPDX-License-Identifier: Apache-2.0
// Correlation of predicted numbers with true ones, as GLUE's STS-B: Pearson's, Spearman's (of
// ranks, ties sharing their mean rank) and their mean. NaN where a side is constant.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "score/metric.h"
#include "text/unicode.h"

namespace nibble {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

double parse(std::string_view text, std::string_view what) {
  const std::string_view number = python_strip(text);
  double value = 0.0;
  const char* const end = number.data() + number.size();
  const auto [at, error] = std::from_chars(number.data() + number.starts_with('+'), end, value);
  if (number.empty() || error != std::errc{} || at != end || !std::isfinite(value))
    throw DataError(cat("the ", what, " is no number"));
  return value;
}

double pearson(std::span<const double> x, std::span<const double> y) {
  const auto n = static_cast<double>(x.size());
  const double mean_x = std::accumulate(x.begin(), x.end(), 0.0) / n;
  const double mean_y = std::accumulate(y.begin(), y.end(), 0.0) / n;
  double xx = 0.0, yy = 0.0, xy = 0.0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double dx = x[i] - mean_x, dy = y[i] - mean_y;
    xx += dx * dx;
    yy += dy * dy;
    xy += dx * dy;
  }
  if (x.size() < 2 || xx == 0.0 || yy == 0.0) return kUndefined;
  return std::clamp(xy / (std::sqrt(xx) * std::sqrt(yy)), -1.0, 1.0);
}

std::vector<double> ranks_of(std::span<const double> values) {
  std::vector<std::pair<double, size_t>> order(values.size());
  for (size_t i = 0; i < values.size(); ++i) order[i] = {values[i], i};
  std::ranges::sort(order, {}, &std::pair<double, size_t>::first);
  std::vector<double> ranks(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && order[end].first == order[i].first) ++end;
    const double rank = static_cast<double>(i + end + 1) / 2.0;
    for (; i < end; ++i) ranks[order[i].second] = rank;
  }
  return ranks;
}

class CorrelationMetric : public Metric {
 public:
  std::vector<ScoreName> scores() const override {
    return {{.name = "pearson", .of_example = false},
            {.name = "spearman", .of_example = false},
            {.name = "corr", .of_example = false}};
  }
  int64_t width() const override { return 2; }
  bool adds_up() const override { return false; }

  void measure(const ScoreExample& example, std::span<double> row) const override {
    if (example.references.size() != 1)
      throw DataError(cat("correlation takes one reference, found ", example.references.size()));
    row[0] = parse(example.hypothesis, "prediction");
    row[1] = parse(example.references.front(), "reference");
  }

  void from_row(std::span<const double>, std::span<double> scores) const override {
    std::ranges::fill(scores, kUndefined);
  }

  void from_rows(const Rows& rows, std::span<const int32_t> picks,
                 std::span<double> scores) const override {
    std::vector<double> x, y;
    x.reserve(picks.size());
    y.reserve(picks.size());
    for (const int32_t pick : picks) {
      x.push_back(rows[pick][0]);
      y.push_back(rows[pick][1]);
    }
    scores[0] = pearson(x, y);
    scores[1] = pearson(ranks_of(x), ranks_of(y));
    scores[2] = (scores[0] + scores[1]) / 2.0;
  }
};

}  // namespace

extern const MetricKind kCorrelationMetric;
const MetricKind kCorrelationMetric = {
    .name = "correlation",
    .help = "Pearson's and Spearman's correlation of numbers, as GLUE",
    .options = {},
    .make = [](const MetricOptions&) -> std::unique_ptr<Metric> {
      return std::make_unique<CorrelationMetric>();
    },
};

}  // namespace nibble
