// SPDX-License-Identifier: Apache-2.0
// Preference pairs: "chosen" and "rejected", answers to one prompt. Each is text, a turn, or a list
// of turns. The prompt is "prompt" (text or turns), "messages", "conversations", an alpaca
// instruction or a "question". Where chosen and rejected are whole conversations, or texts without
// a prompt, the prompt is what they begin with alike, as in TRL.
#include <algorithm>

#include "base/error.h"
#include "data/conversation.h"
#include "data/turns.h"

namespace nibble {
namespace {

bool same_turn(const Message& a, const Message& b) {
  return a.role == b.role && a.content == b.content && a.fields == b.fields;
}

std::vector<Message> read_answer(const Fields& record, std::string_view field) {
  const simdjson::dom::element value = record.at(field);
  std::vector<Message> messages;
  if (value.is_string())
    messages.push_back({.role = "assistant", .content = std::string(record.text(field))});
  else if (value.is_object())
    read_turn(value, cat(record.name(field), ": "), messages);
  else
    read_turns(record, field, messages);
  return messages;
}

// The turns asked; none where the answers hold them.
std::vector<Message> read_prompt(const Fields& record) {
  std::vector<Message> messages;
  if (record.has("messages")) {
    read_turns(record, "messages", messages);
    read_system(record, messages);
  } else if (record.has("conversations")) {
    read_turns(record, "conversations", messages);
    read_system(record, messages);
  } else if (record.has("instruction")) {
    read_alpaca_prompt(record, messages);
  } else if (record.has("prompt")) {
    if (record.at("prompt").is_array())
      read_turns(record, "prompt", messages);
    else
      messages.push_back({.role = "user", .content = std::string(record.text("prompt"))});
    read_system(record, messages);
  } else if (record.has("question")) {
    messages.push_back({.role = "user", .content = std::string(record.text("question"))});
    read_system(record, messages);
  }
  return messages;
}

// How many bytes both begin with; whole characters, and without a space at the end, which belongs
// to the answer.
size_t shared_text(std::string_view a, std::string_view b) {
  const size_t most = std::min(a.size(), b.size());
  size_t n = 0;
  while (n < most && a[n] == b[n]) ++n;
  const auto inside = [](std::string_view text, size_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80;
  };
  while (n > 0 && (inside(a, n) || inside(b, n))) --n;
  if (n > 0 && a[n - 1] == ' ') --n;
  return n;
}

void read_pair(const Fields& record, Conversation& conversation) {
  std::vector<Message> chosen = read_answer(record, "chosen");
  std::vector<Message>& rejected = conversation.rejected;
  rejected = read_answer(record, "rejected");
  const bool texts = record.at("chosen").is_string() && record.at("rejected").is_string();
  const bool whole = chosen[0].role != "assistant" || rejected[0].role != "assistant";
  std::vector<Message>& messages = conversation.messages;
  if (!whole) messages = read_prompt(record);
  if (whole) {
    const auto differ =
        std::mismatch(chosen.begin(), chosen.end(), rejected.begin(), rejected.end(), same_turn);
    if (differ.first == chosen.end() || differ.second == rejected.end())
      record.fail("chosen and rejected do not differ in an answer");
    messages.assign(chosen.begin(), differ.first);
    chosen.erase(chosen.begin(), differ.first);
    rejected.erase(rejected.begin(), differ.second);
    if (chosen[0].role != "assistant" || rejected[0].role != "assistant")
      record.fail("chosen and rejected differ before the answer");
  } else if (texts && messages.empty()) {
    std::string& a = chosen[0].content;
    std::string& b = rejected[0].content;
    const size_t shared = shared_text(a, b);
    messages.push_back({.role = "user", .content = a.substr(0, shared)});
    a.erase(0, shared);
    b.erase(0, shared);
    conversation.plain = true;
  } else if (messages.empty()) {
    record.fail("a preference pair without a prompt");
  } else {
    conversation.plain = texts && record.has("prompt") && record.at("prompt").is_string() &&
                         messages.size() == 1 && !record.has("instruction") &&
                         !record.has("messages") && !record.has("conversations");
  }
  if (!conversation.plain) conversation.inputs = read_inputs(record, record.has("conversations"));
  for (Message& m : messages) m.train = false;
  conversation.answer = messages.size();
  messages.insert(messages.end(), chosen.begin(), chosen.end());
}

}  // namespace

constinit const Form kPreferenceForm = {
    .name = "preference",
    .fields = R"({"prompt", "chosen", "rejected"}, texts or messages)",
    .matches = [](const Fields& record) { return record.has("chosen") && record.has("rejected"); },
    .read = read_pair,
};

}  // namespace nibble
