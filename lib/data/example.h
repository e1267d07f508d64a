// SPDX-License-Identifier: Apache-2.0
// Examples: what nibble-format hands to nibble-tokenize, text cut where training on it begins and
// ends. One JSON object a line:
//   {"segments":[{"label":false,"text":"..."},{"label":true,"text":"..."}]}   (axolotl's
//   input_output)
//   {"segments":[...],"label":true}                                           rated, as for KTO
//   {"chosen":[segments],"rejected":[segments]}                               a preference pair
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/nbp.h"
#include "text/chat_template.h"

namespace nibble {

struct SegmentedExample {
  std::vector<Segment> segments;
  std::vector<Segment> rejected = {};  // of a preference pair, whose better side `segments` is
  std::optional<bool> desirable = std::nullopt;  // of a rated answer

  ExampleKind kind() const {
    return !rejected.empty() ? ExampleKind::kPair
           : desirable       ? ExampleKind::kRated
                             : ExampleKind::kPlain;
  }
  /// Whether anything is trained on; of a pair, on both sides.
  bool trained() const;
  bool operator==(const SegmentedExample&) const = default;
};

/// Appends the JSON object.
void append_example(std::string& out, const SegmentedExample& example);

/// Parses one record as a RecordReader gives it. Throws DataError (without a place).
void parse_example(std::string_view json, SegmentedExample& example);

}  // namespace nibble
