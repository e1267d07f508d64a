// SPDX-License-Identifier: Apache-2.0
// Token rows: examples as ids, JSONL {"input_ids":[...],"labels":[...]} in the convention of
// transformers: labels[i] is input_ids[i] where token i is a target, else -100.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nibble {

struct TokenRow {
  static constexpr int32_t kIgnored = -100;

  std::vector<int32_t> tokens;
  std::vector<uint8_t> trained;  // as long: 1 where the token is a target

  bool operator==(const TokenRow&) const = default;
};

/// Parses one row; without labels, all of it is trained on. `text` has 64 readable bytes behind it.
/// Throws DataError (without a place) where it is malformed, an id is not in [0, vocab_size), or a
/// label is neither its token nor -100.
void parse_token_row(std::string_view text, int64_t vocab_size, TokenRow& row);

/// Appends the JSON object.
void append_token_row(std::string& out, const TokenRow& row);

}  // namespace nibble
