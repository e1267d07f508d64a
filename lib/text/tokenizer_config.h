// SPDX-License-Identifier: Apache-2.0
// What the files beside a tokenizer say of it: tokenizer_config.json, special_tokens_map.json,
// added_tokens.json, chat_template.jinja, generation_config.json, config.json; each may be missing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/file.h"
#include "io/json.h"
#include "text/added_tokens.h"

namespace nibble {

struct TokenizerConfig {
  std::optional<std::string> bos, eos, pad, unk;  // text
  /// Text of every special token named, those four included.
  std::vector<std::string> special;
  std::optional<bool> add_bos, add_eos, legacy, add_prefix_space;
  std::vector<AddedToken> added;  // with ids
  std::string chat_template;
  std::string tool_chat_template;  // the one named "tool_use", for conversations with tools
  // From generation_config.json, else config.json: for models that name no tokens. Of several eos
  // the first.
  std::optional<int32_t> bos_id, eos_id, pad_id;
};

/// Throws DataError naming file and fault.
TokenizerConfig read_tokenizer_config(const fs::path& folder);

/// One entry of "added_tokens" or "added_tokens_decoder". Throws DataError.
AddedToken parse_added_token(const Json& entry, int64_t id);

/// Ids are below this, whatever a file says.
inline constexpr int64_t kMaxTokenId = int64_t{1} << 24;

}  // namespace nibble
