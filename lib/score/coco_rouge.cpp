// SPDX-License-Identifier: Apache-2.0
// ROUGE_L as COCO's evaluation (pycocoevalcap 1.2) has it: of the longest common subsequence's
// precision and recall, each the best over the references, F with beta 1.2.
#include <algorithm>

#include "score/coco_texts.h"
#include "score/lcs.h"
#include "score/ngrams.h"

namespace nibble {
namespace {

// As Python's split(" "): no text is one empty token.
void number(std::string_view text, WordIds& words, std::vector<int32_t>& numbers) {
  numbers.clear();
  for (;;) {
    const size_t space = text.find(' ');
    numbers.push_back(words.add(text.substr(0, space)));
    if (space == text.npos) return;
    text.remove_prefix(space + 1);
  }
}

class CocoRougeMetric : public MeanMetric {
 public:
  explicit CocoRougeMetric(const MetricOptions& options) : texts_(options) {}

  std::vector<ScoreName> scores() const override { return {{"rouge_l"}}; }
  MetricNeeds needs() const override { return {.all_first = true}; }
  void prepare(std::span<const ScoreExample> examples) override { texts_.prepare(examples); }
  void measure(const ScoreExample& example, std::span<double> row) const override {
    const CocoTexts::Texts texts = texts_.of(example);
    thread_local WordIds words;
    thread_local LcsReference common;
    thread_local std::vector<int32_t> own, theirs;
    words.clear();
    number(texts.hypothesis, words, own);
    double precision = 0.0, recall = 0.0;
    for (const std::string& reference : texts.references) {
      number(reference, words, theirs);
      common.set(theirs, words.size());
      const auto length = static_cast<double>(common.length(own));
      precision = std::max(precision, length / static_cast<double>(own.size()));
      recall = std::max(recall, length / static_cast<double>(theirs.size()));
    }
    constexpr double kBeta = 1.2;
    row[0] = precision != 0.0 && recall != 0.0
                 ? (1.0 + kBeta * kBeta) * precision * recall / (recall + kBeta * kBeta * precision)
                 : 0.0;
  }

 private:
  CocoTexts texts_;
};

}  // namespace

extern const MetricKind kCocoRougeMetric;
const MetricKind kCocoRougeMetric = {
    .name = "coco-rouge-l",
    .help = "ROUGE_L as pycocoevalcap 1.2, and with it the E2E challenge",
    .options = {coco_tokenize_option()},
    .make = [](const MetricOptions& options) -> std::unique_ptr<Metric> {
      return std::make_unique<CocoRougeMetric>(options);
    },
};

}  // namespace nibble
