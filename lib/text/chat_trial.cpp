// SPDX-License-Identifier: Apache-2.0
// What a template does to a conversation that is known: whether its masks are right, and what ends
// an answer.
#include "base/error.h"
#include "text/chat_masks.h"
#include "text/unicode.h"

namespace nibble {
namespace {

// Two turns whose texts occur nowhere else.
const std::vector<Message>& sample() {
  static const std::vector<Message> messages = {
      {"user", "qxvone"}, {"assistant", "zkwtwo"}, {"user", "qxvthree"}, {"assistant", "zkwfour"}};
  return messages;
}

}  // namespace

void check_masks(const ChatTemplate& chat) {
  std::vector<Segment> segments;
  try {
    render_chat(chat, sample(), false, {});
  } catch (const jinja::TemplateError&) {
    return;
  }
  std::string fault;
  try {
    std::string learnt, given;
    for (const Segment& s : render(chat, sample(), false)) (s.label ? learnt : given) += s.text;
    for (const Message& m : sample()) {
      const bool answer = m.role == "assistant";
      if (learnt.find(m.content) == std::string::npos && answer)
        fault = "an answer of a trial conversation is not trained on";
      if (learnt.find(m.content) != std::string::npos && !answer)
        fault = "a question of a trial conversation is trained on";
    }
  } catch (const DataError& e) {
    throw UnavailableError(e.what());
  }
  if (!fault.empty())
    throw UnavailableError(cat(chat.name, ": ", fault,
                               ", so that the template cannot be trained on; "
                               "mark what is trained on with {% generation %}, or take another "
                               "--template"));
}

std::string end_of_turn(const ChatTemplate& chat) {
  try {
    const auto segments = render(chat, std::span(sample()).first(2), false);
    for (const Segment& s : segments) {
      const size_t at = s.text.find(sample()[1].content);
      if (!s.label || at == std::string::npos) continue;
      const std::string rest = s.text.substr(at + sample()[1].content.size());
      if (const std::string_view end = python_strip(rest); !end.empty()) return std::string(end);
    }
  } catch (const DataError&) {
    // A template that wants more than a conversation ends answers with eos, as far as is known.
  }
  return chat.eos;
}

}  // namespace nibble
