// SPDX-License-Identifier: Apache-2.0
// Answers as the scorers of SQuAD v1.1 and v2.0 compare them: lowercased, without ASCII punctuation
// and articles, split at white space.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "score/ngrams.h"

namespace nibble {

/// A hypothesis beside one reference after another.
class SquadAnswer {
 public:
  void begin(std::string_view hypothesis);
  void read(std::string_view reference);

  bool own_empty() const { return own_.empty(); }
  bool reference_empty() const { return theirs_.empty(); }
  bool exact() const { return own_ == theirs_; }
  double f1();

 private:
  WordIds ids_;  // of the hypothesis; its words are views of own_text_
  std::string own_text_, text_;
  std::vector<int32_t> own_, theirs_, counts_;  // -1: a token that the hypothesis has not
};

/// This thread's, begun.
SquadAnswer& squad_answer(std::string_view hypothesis);

}  // namespace nibble
