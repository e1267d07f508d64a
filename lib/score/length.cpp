// SPDX-License-Identifier: Apache-2.0
// Lengths of hypotheses and references, in words between white space and in characters.
#include <memory>

#include "score/metric.h"
#include "score/words.h"

namespace nibble {
namespace {

class LengthMetric : public MeanMetric {
 public:
  std::vector<ScoreName> scores() const override {
    return {{"words", 2}, {"characters", 2}, {"reference_words", 2}, {"reference_characters", 2}};
  }
  MetricNeeds needs() const override { return {.references = false, .empty_list = true}; }
  void measure(const ScoreExample& example, std::span<double> row) const override {
    const TextLengths own = text_lengths(example.hypothesis);
    TextLengths theirs;
    for (const std::string& reference : example.references) {
      const TextLengths each = text_lengths(reference);
      theirs.words += each.words;
      theirs.characters += each.characters;
    }
    const auto n = static_cast<double>(example.references.size());
    row[0] = static_cast<double>(own.words);
    row[1] = static_cast<double>(own.characters);
    row[2] = static_cast<double>(theirs.words) / n;  // NaN without references
    row[3] = static_cast<double>(theirs.characters) / n;
  }
};

}  // namespace

extern const MetricKind kLengthMetric;
const MetricKind kLengthMetric = {
    .name = "length",
    .help = "words and characters of hypotheses, and means over references",
    .options = {},
    .make = [](const MetricOptions&) -> std::unique_ptr<Metric> {
      return std::make_unique<LengthMetric>();
    },
};

}  // namespace nibble
