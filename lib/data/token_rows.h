// SPDX-License-Identifier: Apache-2.0
// Token rows: examples as ids, one JSON object a line, in the conventions of transformers and TRL.
//   {"input_ids":[...],"labels":[...]}          labels[i] is input_ids[i] where token i is a
//   target,
//                                               else -100
//   {"prompt_ids":[...],"chosen_ids":[...],"chosen_labels":[...],
//    "rejected_ids":[...],"rejected_labels":[...]}     a preference pair, as TRL's DPOTrainer takes
//   {"prompt_ids":[...],"completion_ids":[...],"completion_labels":[...],"label":true}
//                                               a rated answer, as its KTOTrainer takes
// Where labels are left out, all of those ids are targets, but for the prompt's, which never are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/nbp.h"

namespace nibble {

struct TokenRow {
  static constexpr int32_t kIgnored = -100;

  std::vector<int32_t> tokens;
  std::vector<uint8_t> trained;  // as long: 1 where the token is a target
  /// Of a preference pair: where in `tokens` the rejected side begins, prompt and all, after the
  /// chosen one. Else 0.
  int32_t rejected = 0;
  ExampleKind kind = ExampleKind::kPlain;
  bool desirable = false;  // of a rated answer

  void clear() {
    tokens.clear();
    trained.clear();
    rejected = 0;
    kind = ExampleKind::kPlain;
    desirable = false;
  }
  bool operator==(const TokenRow&) const = default;
};

/// Parses one row. `text` has 64 readable bytes behind it. Throws DataError (without a place) where
/// it is malformed, an id is not in [0, vocab_size), or a label is neither its token nor -100.
void parse_token_row(std::string_view text, int64_t vocab_size, TokenRow& row);

/// Appends the JSON object.
void append_token_row(std::string& out, const TokenRow& row);

}  // namespace nibble
