// SPDX-License-Identifier: Apache-2.0
// Lengths of hypotheses and references, in words between white space and in characters.
#include <algorithm>
#include <limits>

#include "score/metric.h"
#include "text/unicode.h"

namespace nibble {
namespace {

struct Lengths {
  double words = 0.0, characters = 0.0;
};

Lengths lengths_of(std::string_view text) {
  Lengths lengths;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const CodePoint p = read_utf8(text, at);
    at += static_cast<size_t>(p.size);
    const bool space = is_python_space(p.code);
    lengths.words += !space && !inside;
    lengths.characters += 1.0;
    inside = !space;
  }
  return lengths;
}

class LengthMetric : public MeanMetric {
 public:
  std::vector<ScoreName> scores() const override {
    return {{"words", 2}, {"characters", 2}, {"reference_words", 2}, {"reference_characters", 2}};
  }
  MetricNeeds needs() const override { return {.references = false, .empty_list = true}; }
  void measure(const ScoreExample& example, std::span<double> row) const override {
    const Lengths own = lengths_of(example.hypothesis);
    Lengths theirs;
    for (const std::string& reference : example.references) {
      const Lengths each = lengths_of(reference);
      theirs.words += each.words;
      theirs.characters += each.characters;
    }
    const auto n = static_cast<double>(example.references.size());
    row[0] = own.words;
    row[1] = own.characters;
    row[2] = theirs.words / n;  // NaN without references
    row[3] = theirs.characters / n;
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
