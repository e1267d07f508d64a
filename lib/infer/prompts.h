// SPDX-License-Identifier: Apache-2.0
// What people give to complete, as token ids: a plain prompt, or a conversation rendered by the
// model's template up to where the assistant's answer begins.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"
#include "model/config.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace nibble {

/// Of a prompt that leaves no room for a token after it: what is wrong, and what mends it.
struct TooLong {
  std::string fault, remedy;
};
/// `context` is what was asked for, 0: the model's; `most` is the model's.
std::optional<TooLong> too_long(int64_t tokens, int64_t context, int64_t most);

class Prompter {
 public:
  /// `template_name` as --template takes it: a name or a file, or empty for the model's own, if it
  /// has one. With `raw` prompts are continued as they stand.
  Prompter(const Tokenizer& tokenizer, const ModelConfig& config, const std::string& template_name,
           bool raw, const std::string& place);

  /// Whether prompts are rendered as conversations.
  bool chats() const { return chat_.has_value(); }

  /// Ids of a plain prompt: itself, or the user's turn of a conversation.
  std::vector<int32_t> from_text(std::string_view text) const;
  std::vector<int32_t> from_messages(std::span<const Message> messages,
                                     const ChatInputs& inputs = {}) const;
  /// Ids of a record: {"prompt": "..."} or any conversation form, whose last answer is left out.
  /// Throws DataError without a place.
  std::vector<int32_t> from_record(std::string_view json) const;

  /// Tokens that end a completion.
  const std::vector<int32_t>& stop_ids() const { return stop_ids_; }
  /// The completion's text: special tokens left out, invalid UTF-8 kept as it is.
  std::string text(std::span<const int32_t> completion) const;

 private:
  std::vector<int32_t> encode(std::string_view text) const;
  const Tokenizer& tokenizer_;
  std::optional<ChatTemplate> chat_;
  std::vector<int32_t> stop_ids_;
};

}  // namespace nibble
