// SPDX-License-Identifier: Apache-2.0
// The table of metrics.
#include <algorithm>

#include "base/error.h"
#include "score/metric.h"

namespace nibble {

extern const MetricKind kRougeMetric, kBleuMetric, kNltkBleuMetric, kMtevalMetric, kChrfMetric,
    kChrfWordsMetric, kTerMetric, kDistinctMetric, kSelfBleuMetric, kLengthMetric;
extern const MetricKind kNltkMeteorMetric, kMeteor15Metric, kCocoRougeMetric, kCiderMetric,
    kCiderPlainMetric, kSquadMetric, kSquad2Metric, kGsm8kMetric, kClassificationMetric,
    kCorrelationMetric, kLogProbabilityMetric;

std::span<const MetricKind* const> metric_kinds() {
  static constexpr const MetricKind* kKinds[] = {
      &kRougeMetric,           //
      &kBleuMetric,            //
      &kNltkBleuMetric,        //
      &kMtevalMetric,          //
      &kChrfMetric,            //
      &kChrfWordsMetric,       //
      &kTerMetric,             //
      &kNltkMeteorMetric,      //
      &kMeteor15Metric,        //
      &kCocoRougeMetric,       //
      &kCiderMetric,           //
      &kCiderPlainMetric,      //
      &kSquadMetric,           //
      &kSquad2Metric,          //
      &kGsm8kMetric,           //
      &kClassificationMetric,  //
      &kCorrelationMetric,     //
      &kLogProbabilityMetric,  //
      &kDistinctMetric,        //
      &kSelfBleuMetric,        //
      &kLengthMetric,          //
  };
  return kKinds;
}

namespace {

std::string join(auto&& items, auto&& name_of) {
  std::string out;
  for (const auto& item : items) out += cat(out.empty() ? "" : ", ", name_of(item));
  return out;
}

const MetricKind& kind_by_name(std::string_view name) {
  for (const MetricKind* kind : metric_kinds())
    if (kind->name == name) return *kind;
  throw UsageError(cat("--metric=", name, ": no such metric; there are ",
                       join(metric_kinds(), [](const MetricKind* k) { return k->name; })));
}

// Splits off what stands before the first `mark`; all of the text where it has none.
std::string_view take_until(std::string_view& text, char mark) {
  const size_t at = text.find(mark);
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(at == text.npos ? text.size() : at + 1);
  return part;
}

}  // namespace

std::unique_ptr<Metric> make_metric(std::string_view spec) {
  std::string_view rest = spec;
  const MetricKind& kind = kind_by_name(take_until(rest, ':'));
  MetricOptions::Values values;
  for (const MetricOption& option : kind.options) values.emplace_back(option.name, option.standard);
  while (!rest.empty()) {
    std::string_view value = take_until(rest, ':');
    const bool bare = value.find('=') == value.npos;
    const std::string_view name = take_until(value, '=');
    if (bare) value = "yes";
    const auto option = std::ranges::find(kind.options, name, &MetricOption::name);
    if (option == kind.options.end())
      throw UsageError(cat(
          "--metric=", spec, ": ", kind.name, " has no option \"", name, "\"; it has ",
          kind.options.empty() ? "none"
                               : join(kind.options, [](const MetricOption& o) { return o.name; })));
    if (!option->choices.empty() && !std::ranges::count(option->choices, value))
      throw UsageError(cat("--metric=", spec, ": ", name, " is one of ",
                           join(option->choices, [](std::string_view c) { return c; })));
    values[static_cast<size_t>(option - kind.options.begin())].second = value;
  }
  return kind.make(MetricOptions(std::string(spec), std::move(values)));
}

}  // namespace nibble
