// SPDX-License-Identifier: Apache-2.0
// Scorer: several metrics measured on one system's predictions, in one pass by all threads.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "score/examples.h"
#include "score/metric.h"

namespace nibble {

/// A metric and what it has measured.
struct Measured {
  std::string label;  // as it was asked for, "bleu:tokenize=intl"
  std::unique_ptr<Metric> metric;
  std::vector<ScoreName> names;  // of its scores
  std::vector<double> sum;       // of the rows
  std::vector<double> numbers;   // the rows, where they are kept

  Rows rows() const { return {.numbers = numbers, .width = metric->width()}; }
};

class Scorer {
 public:
  /// Makes the metrics. Throws UsageError.
  explicit Scorer(std::span<const std::string> specs);

  /// What all of them want together.
  MetricNeeds needs() const;

  /// Called for every example in order, after it was measured. `scores` are those of each metric.
  using Each =
      std::function<void(const ScoreExample& example, std::span<const std::vector<double>> scores)>;
  /// Measures all examples. Rows are kept where asked for or where a metric's scores need them.
  /// Throws DataError where there are none.
  void run(ExampleReader& reader, bool keep_rows, const Each& each = {});

  int64_t examples() const { return examples_; }
  std::span<const Measured> metrics() const { return metrics_; }
  /// The corpus scores of one metric.
  std::vector<double> scores(const Measured& m) const;

 private:
  void measure(std::span<const ScoreExample> examples, ExampleReader& reader, bool keep_rows,
               const Each& each);

  std::vector<Measured> metrics_;
  std::vector<std::vector<double>> batch_;  // rows of each metric
  int64_t examples_ = 0;
};

}  // namespace nibble
