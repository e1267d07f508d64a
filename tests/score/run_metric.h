// SPDX-License-Identifier: Apache-2.0
// Scores of a corpus and of its examples, as nibble-score asks for them.
#pragma once

#include <numeric>
#include <string>
#include <vector>

#include "score/metric.h"

namespace nibble {

struct Measured {
  std::vector<double> corpus;
  std::vector<std::vector<double>> each;
};

inline Measured measure(std::string_view spec, const std::vector<ScoreExample>& examples) {
  const std::unique_ptr<Metric> metric = make_metric(spec);
  if (metric->needs().all_first) metric->prepare(examples);
  const auto width = static_cast<size_t>(metric->width());
  std::vector<double> numbers(width * examples.size());
  Measured out{std::vector<double>(metric->scores().size()), {}};
  for (size_t i = 0; i < examples.size(); ++i) {
    const std::span<double> row = std::span(numbers).subspan(i * width, width);
    metric->measure(examples[i], row);
    metric->from_row(row, out.each.emplace_back(out.corpus.size()));
  }
  std::vector<int32_t> all(examples.size());
  std::iota(all.begin(), all.end(), 0);
  metric->from_rows({.numbers = numbers, .width = metric->width()}, all, out.corpus);
  return out;
}

}  // namespace nibble
