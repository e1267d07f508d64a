// SPDX-License-Identifier: Apache-2.0
#include "score/coco_texts.h"

#include "score/ptb_tokenizer.h"

namespace nibble {

CocoTexts::CocoTexts(const MetricOptions& options) : tokenize_(options.text("tokenize") == "ptb") {}

void CocoTexts::prepare(std::span<const ScoreExample> examples) {
  first_ = examples.data();
  texts_.clear();
  texts_.resize(examples.size());
  if (!tokenize_) {
    for (size_t i = 0; i < examples.size(); ++i)
      texts_[i] = {examples[i].hypothesis, examples[i].references};
    return;
  }
  PtbTokenizer tokenizer;
  std::vector<std::string_view> captions;
  for (const ScoreExample& example : examples) captions.push_back(example.hypothesis);
  std::vector<std::string> tokens = tokenizer.captions(captions);
  for (size_t i = 0; i < examples.size(); ++i) texts_[i].hypothesis = std::move(tokens[i]);
  captions.clear();
  for (const ScoreExample& example : examples)
    captions.insert(captions.end(), example.references.begin(), example.references.end());
  tokens = tokenizer.captions(captions);
  auto next = tokens.begin();
  for (size_t i = 0; i < examples.size(); ++i) {
    const auto end = next + std::ssize(examples[i].references);
    texts_[i].references.assign(std::make_move_iterator(next), std::make_move_iterator(end));
    next = end;
  }
}

CocoTexts::Texts CocoTexts::of(const ScoreExample& example) const {
  const std::less<const ScoreExample*> before;
  if (first_ != nullptr && !before(&example, first_) && before(&example, first_ + texts_.size()))
    return texts_[static_cast<size_t>(&example - first_)];
  if (!tokenize_) return {example.hypothesis, example.references};
  thread_local PtbTokenizer tokenizer;
  return {tokenizer.caption(example.hypothesis),
          tokenizer.captions(
              std::vector<std::string_view>(example.references.begin(), example.references.end()))};
}

}  // namespace nibble
