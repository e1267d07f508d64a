// SPDX-License-Identifier: Apache-2.0
#include "score/metric.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "base/error.h"

namespace nibble {

void Metric::from_sum(std::span<const double>, int64_t, std::span<double>) const {
  throw BugError("a metric that adds up lacks from_sum");
}

void Metric::from_rows(const Rows& rows, std::span<const int32_t> picks,
                       std::span<double> scores) const {
  std::vector<double> sum(static_cast<size_t>(rows.width));
  for (const int32_t pick : picks) {
    const std::span<const double> row = rows[pick];
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += row[i];
  }
  from_sum(sum, std::ssize(picks), scores);
}

void Metric::from_row(std::span<const double> row, std::span<double> scores) const {
  const int32_t first = 0;
  from_rows({.numbers = row, .width = std::ssize(row)}, {&first, 1}, scores);
}

void MeanMetric::from_sum(std::span<const double> sum, int64_t examples,
                          std::span<double> scores) const {
  for (size_t i = 0; i < scores.size(); ++i) scores[i] = sum[i] / static_cast<double>(examples);
}

const std::string& MetricOptions::text(std::string_view name) const {
  const auto found = std::ranges::find(values_, name, &Values::value_type::first);
  CHECK(found != values_.end());
  return found->second;
}

void MetricOptions::fail(std::string_view name, std::string_view fault) const {
  throw UsageError(cat("--metric=", metric_, ": ", name, "=", text(name), ": ", fault));
}

bool MetricOptions::flag(std::string_view name) const {
  return text(name) == "yes";
}

std::vector<double> MetricOptions::numbers(std::string_view name, double low, double high) const {
  std::vector<double> numbers;
  std::string_view rest = text(name);
  for (bool more = true; more;) {
    const size_t at = rest.find('/');
    const std::string_view value = rest.substr(0, at);
    more = at != rest.npos;
    if (more) rest.remove_prefix(at + 1);
    double& number = numbers.emplace_back();
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size()) fail(name, "not a number");
    if (!(number >= low && number <= high)) fail(name, cat("outside ", low, " to ", high));
  }
  return numbers;
}

double MetricOptions::number(std::string_view name, double low, double high) const {
  const std::vector<double> all = numbers(name, low, high);
  if (all.size() > 1) fail(name, "not a number");
  return all[0];
}

int64_t MetricOptions::integer(std::string_view name, int64_t low, int64_t high) const {
  const double value = number(name, static_cast<double>(low), static_cast<double>(high));
  if (value != static_cast<double>(static_cast<int64_t>(value))) fail(name, "not a whole number");
  return static_cast<int64_t>(value);
}

}  // namespace nibble
