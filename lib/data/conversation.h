// SPDX-License-Identifier: Apache-2.0
// Conversations: what a record of instruction data says, whichever of the forms people use it is
// written in. A form is one file, format_NAME.cpp, and one line in the table of conversation.cpp.
#pragma once

#include <simdjson.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/chat_template.h"

namespace nibble {

/// One example: turns for a chat template to write, or plain text.
struct Conversation {
  std::vector<Message> messages;
  /// The messages' contents are the text as it stands, one after another, and no template applies;
  /// roles only say what is prompt ("user") and what is answer ("assistant").
  bool plain = false;
  ChatInputs inputs = {};  // tools and documents
};

/// What the user calls the fields that a form reads: {"prompt", "question"} reads the record's
/// "question" where the form wants its prompt.
using FieldNames = std::vector<std::pair<std::string, std::string>>;
/// "prompt:question,completion:answer". Throws UsageError.
FieldNames parse_field_names(std::span<const std::string> pairs);

/// The members of a JSON object, by the names that a form uses. null is as good as absent. Errors
/// are DataError without the record's place.
class Fields {
 public:
  /// Throws DataError where the value is no object. `place` ("messages[2]: ") starts the messages.
  Fields(simdjson::dom::element value, const FieldNames& names, std::string place = {});

  bool has(std::string_view field) const;
  /// The member; DataError 'no "output"' where it is absent or null.
  simdjson::dom::element at(std::string_view field) const;
  /// Its text; DataError '"output" is a number, not text' where it is something else.
  std::string_view text(std::string_view field) const;
  std::string_view text_or(std::string_view field, std::string_view otherwise) const;
  /// Its items; DataError where it is no array.
  simdjson::dom::array array(std::string_view field) const;
  /// What the record calls the field.
  std::string_view name(std::string_view field) const;
  /// "a", "b", "c": the names that the record has.
  std::string names() const;
  const std::string& place() const { return place_; }

  [[noreturn]] void fail(std::string_view fault) const;

 private:
  simdjson::dom::object object_;
  const FieldNames* names_;
  std::string place_;
};

/// One way to write a conversation as a JSON object.
struct Form {
  std::string_view name;    // as --from takes it
  std::string_view fields;  // what it looks like, for people
  bool (*matches)(const Fields&);
  void (*read)(const Fields&, Conversation&);
};

extern const Form kMessagesForm, kSharegptForm, kAlpacaForm, kPromptForm, kTextForm;

/// All forms, in the order in which they are tried.
std::span<const Form* const> forms();
/// Throws UsageError naming all.
const Form& form_by_name(std::string_view name);
/// The form that a record has. Throws DataError naming its fields, or the form where it is one that
/// cannot be read.
const Form& detect_form(const Fields& record);
/// Reads a record of that form. Throws DataError.
void read_conversation(const Form& form, const Fields& record, Conversation& conversation);

/// Appends the messages of an OpenAI list, [{"role": "user", "content": "..."}, ...]; other members
/// become the message's fields.
void read_messages(const Fields& record, std::string_view field, std::vector<Message>& messages);

}  // namespace nibble
