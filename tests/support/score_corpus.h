// SPDX-License-Identifier: Apache-2.0
// A metric on examples at hand, without files.
#pragma once

#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "score/metric.h"

namespace nibble {

struct CorpusScores {
  std::vector<std::string> names;
  std::vector<double> corpus;
  std::vector<std::vector<double>> each;  // by example

  double operator[](std::string_view name) const { return corpus[index(name)]; }
  size_t index(std::string_view name) const {
    for (size_t i = 0; i < names.size(); ++i)
      if (names[i] == name) return i;
    throw std::out_of_range(std::string(name));
  }
};

inline CorpusScores score_corpus(const std::string& spec, std::span<const ScoreExample> examples) {
  const auto metric = make_metric(spec);
  CorpusScores scores;
  for (const ScoreName& name : metric->scores()) scores.names.push_back(name.name);
  if (metric->needs().all_first) metric->prepare(examples);
  const auto width = static_cast<size_t>(metric->width());
  std::vector<double> rows(width * examples.size());
  std::vector<int32_t> all(examples.size());
  std::iota(all.begin(), all.end(), 0);
  scores.corpus.resize(scores.names.size());
  for (size_t i = 0; i < examples.size(); ++i) {
    const auto row = std::span(rows).subspan(i * width, width);
    metric->measure(examples[i], row);
    metric->from_row(row, scores.each.emplace_back(scores.names.size()));
  }
  metric->from_rows({.numbers = rows, .width = metric->width()}, all, scores.corpus);
  return scores;
}

}  // namespace nibble
