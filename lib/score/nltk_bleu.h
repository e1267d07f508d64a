// SPDX-License-Identifier: Apache-2.0
// Sentence BLEU as NLTK computes it, with the smoothings of Chen and Cherry (2014) as NLTK numbers
// them: method0 (a zero becomes the least float) to method7.
#pragma once

#include <cstdint>
#include <vector>

#include "score/metric.h"

namespace nibble {

struct NltkBleuRules {
  std::vector<double> weights = {0.25, 0.25, 0.25, 0.25};  // of orders 1, 2, ...
  int method = 0;
  double epsilon = 0.1, alpha = 5.0, k = 5.0;
  bool auto_reweigh = false;

  int order() const { return static_cast<int>(weights.size()); }
  /// The longest n-gram that must be counted: method5 looks at fives.
  int counted() const { return order() > 5 ? order() : 5; }
};

/// What is counted of a hypothesis: by order, from 1 on.
struct NltkCounts {
  double length = 0.0, reference_length = 0.0;
  std::vector<double> matches, totals;
};

/// Throws DataError where method6 meets no trigram that matches.
double nltk_sentence_bleu(const NltkBleuRules& rules, const NltkCounts& counts);

/// The options that make rules, and the rules they make.
std::vector<MetricOption> nltk_bleu_options(std::string_view method);
NltkBleuRules nltk_bleu_rules(const MetricOptions& options);

}  // namespace nibble
