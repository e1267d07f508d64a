// SPDX-License-Identifier: Apache-2.0
// OpenAI's form: {"messages": [{"role": "user", "content": "..."}, ...]}, with "tools" and
// "documents" beside them. The content is text or a list of text parts, and may be missing from a
// message that calls tools; what else a message has is the template's to read ("tool_calls",
// "reasoning_content", "name"). A "completion", which nibble-generate adds, is the assistant's next
// turn.
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

Json to_json(simdjson::dom::element value) {
  return parse_json(simdjson::minify(value), "record");
}

// The members beside role and content, with "content" where there is no text.
Json::Object read_fields(simdjson::dom::element message, bool has_content) {
  Json::Object fields;
  for (const auto member : simdjson::dom::object(message))
    if (member.key != "role" && member.key != "content")
      fields.emplace_back(std::string(member.key), to_json(member.value));
  if (!has_content) fields.emplace_back("content", nullptr);
  return fields;
}

// A list, or the text of one.
Json read_list(const Fields& record, std::string_view field) {
  if (!record.has(field)) return nullptr;
  Json list = record.at(field).is_string()
                  ? parse_json(record.text(field), std::string(record.name(field)))
                  : to_json(record.at(field));
  if (!list.is_array()) record.fail(cat("\"", record.name(field), "\" is no list"));
  if (list.as_array().empty()) return nullptr;
  return list;
}

}  // namespace

void read_messages(const Fields& record, std::string_view field, std::vector<Message>& messages) {
  static const FieldNames kOwnNames;
  const auto items = record.array(field);
  if (items.size() == 0) record.fail(cat("\"", record.name(field), "\" is empty"));
  size_t i = 0;
  for (const auto item : items) {
    const Fields message(item, kOwnNames, cat(record.name(field), "[", i++, "]: "));
    if (message.has("function_call"))
      message.fail("has \"function_call\", which cannot be read; write it as \"tool_calls\"");
    const bool has_content = message.has("content") || !message.has("tool_calls");
    messages.push_back({.role = std::string(message.text("role")),
                        .content = has_content ? read_content(message) : "",
                        .fields = read_fields(item, has_content)});
  }
}

constinit const Form kMessagesForm = {
    .name = "messages",
    .fields =
        R"({"messages": [{"role", "content", "tool_calls", ...}, ...], "tools", "documents"})",
    .matches = [](const Fields& record) { return record.has("messages"); },
    .read =
        [](const Fields& record, Conversation& conversation) {
          conversation.inputs.tools = read_list(record, "tools");
          conversation.inputs.documents = read_list(record, "documents");
          read_messages(record, "messages", conversation.messages);
          if (record.has("completion"))
            conversation.messages.push_back(
                {.role = "assistant", .content = std::string(record.text("completion"))});
        },
};

}  // namespace nibble
