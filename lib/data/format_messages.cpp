// SPDX-License-Identifier: Apache-2.0
// OpenAI's form: {"messages": [{"role": "user", "content": "..."}, ...]}. The content is text or a
// list of text parts. A "completion", which nibble-generate adds, is the assistant's next turn.
#include "base/error.h"
#include "data/conversation.h"

namespace nibble {
namespace {

// Text, or [{"type": "text", "text": "..."}, ...] joined.
std::string read_content(const Fields& message) {
  if (message.at("content").is_string()) return std::string(message.text("content"));
  static const FieldNames kOwnNames;
  std::string content;
  size_t i = 0;
  for (const auto item : message.array("content")) {
    const Fields part(item, kOwnNames, cat(message.place(), "content[", i++, "]: "));
    if (const std::string_view type = part.text_or("type", "text"); type != "text")
      part.fail(cat("is of type \"", type, "\", and only text can be read"));
    content += part.text("text");
  }
  return content;
}

}  // namespace

void read_messages(const Fields& record, std::string_view field, std::vector<Message>& messages) {
  static const FieldNames kOwnNames;
  const auto items = record.array(field);
  if (items.size() == 0) record.fail(cat("\"", record.name(field), "\" is empty"));
  size_t i = 0;
  for (const auto item : items) {
    const Fields message(item, kOwnNames, cat(record.name(field), "[", i++, "]: "));
    for (const std::string_view tool : {"tool_calls", "function_call"})
      if (message.has(tool)) message.fail(cat("has \"", tool, "\", which cannot be read"));
    messages.push_back(
        {.role = std::string(message.text("role")), .content = read_content(message)});
  }
}

constinit const Form kMessagesForm = {
    .name = "messages",
    .fields = R"({"messages": [{"role", "content"}, ...]})",
    .matches = [](const Fields& record) { return record.has("messages"); },
    .read =
        [](const Fields& record, Conversation& conversation) {
          if (record.has("tools") &&
              !(record.at("tools").is_array() && record.array("tools").size() == 0))
            record.fail("has \"tools\", which cannot be read");
          read_messages(record, "messages", conversation.messages);
          if (record.has("completion"))
            conversation.messages.push_back(
                {.role = "assistant", .content = std::string(record.text("completion"))});
        },
};

}  // namespace nibble
