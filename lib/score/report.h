// SPDX-License-Identifier: Apache-2.0
// What scores are shown as: a table for people, an object of JSON, a line of JSON an example.
#pragma once

#include <string>
#include <vector>

#include "io/json.h"
#include "score/resample.h"
#include "score/scorer.h"

namespace nibble {

struct MetricReport {
  const Measured* measured = nullptr;
  std::string signature;
  std::vector<double> scores;
  std::vector<Interval> intervals;  // empty: none
  std::vector<double> against, p;   // of the other system; empty: none
};

struct ScoreReport {
  int64_t examples = 0;
  int64_t bootstrap = 0;  // trials; 0: none
  std::string test;       // of the paired test; empty: none
  int64_t trials = 0;
  uint64_t seed = 0;
  std::string against;  // the other system's file
  std::vector<MetricReport> metrics;
};

/// What each metric's scores are called: their names, after the metric's label where two metrics
/// share a name.
std::vector<std::vector<std::string>> score_titles(std::span<const Measured> metrics);

/// "bs:1000|seed:12345|", as sacrebleu's signatures have it; empty where nothing is resampled.
std::string trials_text(const ScoreReport& report);

Json report_json(const ScoreReport& report);
/// Lines of columns; with `verbose`, details too.
std::vector<std::string> report_table(const ScoreReport& report, bool verbose);

/// One example's scores, {"example":1,"id":"...","bleu":...}.
std::string example_json(const ScoreExample& example, int64_t number,
                         std::span<const Measured> metrics,
                         std::span<const std::vector<std::string>> titles,
                         std::span<const std::vector<double>> scores);

}  // namespace nibble
