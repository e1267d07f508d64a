// SPDX-License-Identifier: Apache-2.0
// The "normalizer" of tokenizer.json: what is done to text before it is cut into pieces. NFC,
// Prepend, Replace, Strip and sequences of them; others are refused by name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"
#include "text/pattern.h"
#include "text/tokenizer.h"

namespace nibble {

class Normalizer {
 public:
  /// `spec` is the JSON member, or null. Throws UnavailableError or DataError without a place.
  explicit Normalizer(const Json& spec);

  /// The text, which must be valid UTF-8, normalised; `buffer` may hold it. After other text
  /// nothing is put before it.
  std::string_view apply(TextPlace place, std::string_view text, std::string& buffer) const;
  bool empty() const { return steps_.empty(); }

 private:
  enum class Kind : uint8_t { kNfc, kPrepend, kReplace, kStrip };
  struct Step {
    Kind kind;
    std::string find, content;       // kReplace of a string; kPrepend: content
    std::optional<Pattern> pattern;  // kReplace of a regular expression
    bool left = false, right = false;
  };
  void add(const Json& spec);
  static void apply_step(const Step& step, TextPlace place, std::string_view text,
                         std::string& out);
  std::vector<Step> steps_;
};

}  // namespace nibble
