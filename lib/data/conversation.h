// SPDX-License-Identifier: Apache-2.0
// Conversations: what a record of instruction data says, whichever of the forms people use it is
// written in. A form is one file, format_NAME.cpp, and one line in the table of conversation.cpp.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/fields.h"
#include "text/chat_template.h"

namespace nibble {

/// One example: turns for a chat template to write, or plain text.
struct Conversation {
  std::vector<Message> messages;
  /// The messages' contents are the text as it stands, one after another, and no template applies;
  /// roles only say what is prompt ("user") and what is answer ("assistant").
  bool plain = false;
  ChatInputs inputs = {};  // tools and documents
  /// Of a preference pair: the answer that is worse. `messages` ends with the better one, which
  /// begins at `answer`.
  std::vector<Message> rejected = {};
  size_t answer = 0;
  /// Of an answer that was rated, as KTO learns from: whether it is one to give.
  std::optional<bool> desirable = std::nullopt;
};

/// "prompt:question,completion:answer". Throws UsageError, also where no form has such a field.
FieldNames parse_field_names(std::span<const std::string> pairs);

/// Which paths of a tree of messages are conversations: the one of the best replies, or all.
enum class Paths : uint8_t { kBest, kAll };

/// What a record holds: one conversation, or those of a tree.
struct Conversations {
  std::vector<Conversation> all;
  int64_t left_out = 0;  // messages of a tree that were deleted
};

/// One way to write a conversation as a JSON object.
struct Form {
  std::string_view name;    // as --from takes it
  std::string_view fields;  // what it looks like, for people
  bool (*matches)(const Fields&);
  void (*read)(const Fields&, Conversation&);
  /// Of a form whose records hold several.
  void (*read_all)(const Fields&, Paths, Conversations&) = nullptr;
};

extern const Form kRatedForm, kPreferenceForm, kMessagesForm, kSharegptForm, kOasstForm,
    kAlpacaForm, kPromptForm, kQuestionForm, kTextForm;

/// All forms, in the order in which they are tried.
std::span<const Form* const> forms();
/// Throws UsageError naming all.
const Form& form_by_name(std::string_view name);
/// The form that a record has, or nullptr.
const Form* find_form(const Fields& record);
/// The same; throws DataError naming its fields where it has none.
const Form& detect_form(const Fields& record);

/// Reads a record of that form. Throws DataError.
void read_conversations(const Form& form, const Fields& record, Paths paths, Conversations& found);
/// Its one conversation: of a tree, the best path.
void read_conversation(const Form& form, const Fields& record, Conversation& conversation);

/// Parts that forms share. What an alpaca record asks: system, history, instruction and input.
void read_alpaca_prompt(const Fields& record, std::vector<Message>& messages);

}  // namespace nibble
