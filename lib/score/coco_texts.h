// SPDX-License-Identifier: Apache-2.0
// The texts of a corpus, tokenised as COCO's evaluation does it (ptb_tokenizer.h) or taken as they
// are. All captions of a side are one text there, so the corpus is tokenised whole.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "score/metric.h"

namespace nibble {

/// One option for all who use CocoTexts.
inline MetricOption coco_tokenize_option() {
  return {
      "tokenize", "ptb", "how texts are split: as pycocoevalcap, or at spaces", {"ptb", "none"}};
}

class CocoTexts {
 public:
  struct Texts {
    std::string hypothesis;
    std::vector<std::string> references;
  };
  explicit CocoTexts(const MetricOptions& options);

  /// Tokenises all of a corpus.
  void prepare(std::span<const ScoreExample> examples);
  std::span<const Texts> all() const { return texts_; }
  /// The texts of an example: from prepare() where it is one of those, else tokenised by itself.
  Texts of(const ScoreExample& example) const;

 private:
  bool tokenize_ = true;
  const ScoreExample* first_ = nullptr;
  std::vector<Texts> texts_;
};

}  // namespace nibble
