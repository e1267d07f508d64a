// SPDX-License-Identifier: Apache-2.0
// Captions tokenised as COCO's evaluation does it (pycocoevalcap 1.2: Stanford CoreNLP 3.4.1's
// PTBTokenizer -preserveLines -lowerCase, then punctuation taken out). The lexer looks at what
// follows, and there all captions are one text, a line each: the start of the next caption may
// decide how one ends.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "score/lexer.h"

namespace nibble {

/// Not for several threads at once.
class PtbTokenizer {
 public:
  PtbTokenizer();
  ~PtbTokenizer();

  /// The tokens of each caption, with one space between.
  std::vector<std::string> captions(std::span<const std::string_view> captions);
  /// Of one that nothing follows.
  std::string caption(std::string_view caption);

  /// The tokens before punctuation is taken out.
  void tokenize(std::u16string_view text, size_t end,
                const std::function<void(std::u16string_view)>& use);

 private:
  std::string finish(std::u16string_view text, size_t end);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nibble
