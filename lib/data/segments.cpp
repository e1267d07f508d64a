// SPDX-License-Identifier: Apache-2.0
#include "data/segments.h"

#include <algorithm>

#include "base/error.h"
#include "io/file.h"
#include "io/json.h"
#include "text/tokenizer.h"

namespace nibble {
namespace {

// Decides every message's train flag. What a form has set stands.
void mark(const TrainOn& train_on, std::vector<Message>& messages) {
  const auto last = std::find_if(messages.rbegin(), messages.rend(),
                                 [](const Message& m) { return m.role == "assistant"; });
  for (Message& m : messages) {
    if (m.train) continue;
    switch (train_on.rule) {
      case TrainOn::Rule::kAssistant:
        m.train = m.role == "assistant";
        break;
      case TrainOn::Rule::kLast:
        m.train = last != messages.rend() && &m == &*last;
        break;
      case TrainOn::Rule::kAll:
        m.train = true;
        break;
      case TrainOn::Rule::kRoles:
        m.train =
            std::find(train_on.roles.begin(), train_on.roles.end(), m.role) != train_on.roles.end();
        break;
    }
  }
}

void add(std::vector<Segment>& segments, bool label, std::string_view text) {
  if (text.empty()) return;
  if (segments.empty() || segments.back().label != label) segments.push_back({label, {}});
  segments.back().text += text;
}

}  // namespace

TrainOn parse_train_on(std::string_view text) {
  if (text == "assistant") return {TrainOn::Rule::kAssistant, {}};
  if (text == "last") return {TrainOn::Rule::kLast, {}};
  if (text == "all") return {TrainOn::Rule::kAll, {}};
  constexpr std::string_view kRoles = "roles:";
  if (!text.starts_with(kRoles) || text.size() == kRoles.size())
    throw UsageError(
        cat("--train-on=", text, ": expected assistant, last, all or roles:ROLE,ROLE"));
  TrainOn train_on{TrainOn::Rule::kRoles, {}};
  for (text.remove_prefix(kRoles.size()); !text.empty();) {
    const size_t comma = std::min(text.find(','), text.size());
    train_on.roles.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return train_on;
}

SegmentRules rules_for_template(const std::string& name, const std::string& model) {
  const std::vector<std::string>& names = chat_template_names();
  const bool known = std::find(names.begin(), names.end(), name) != names.end();
  const bool is_folder = !known && is_input_folder(name);
  const std::string folder = is_folder ? name : model;
  SegmentRules rules;
  rules.no_chat = "conversations need a chat template; give --template=DIR, the model's folder";
  std::string bos;
  if (!folder.empty()) {
    const auto tokenizer = load_tokenizer(folder);
    if (tokenizer->bos) bos = tokenizer->token_text(*tokenizer->bos);
    if (tokenizer->eos) rules.eos = tokenizer->token_text(*tokenizer->eos);
    if (name.empty() || is_folder) {
      try {
        rules.chat = model_chat_template(*tokenizer, "", folder);
        check_masks(*rules.chat);
      } catch (const UnavailableError& e) {
        rules.no_chat = e.what();
        rules.chat.reset();
      }
      return rules;
    }
  }
  if (name.empty()) return rules;
  if (!known && input_exists(name))
    rules.chat =
        chat_template_from_jinja(read_text_file(name, jinja::kMaxSource), bos, rules.eos, name);
  else
    rules.chat = chat_template_by_name(name, bos, rules.eos);
  check_masks(*rules.chat);
  rules.eos = rules.chat->eos;
  return rules;
}

std::vector<Segment> to_segments(const SegmentRules& rules, Conversation& conversation) {
  mark(rules.train_on, conversation.messages);
  std::vector<Segment> segments;
  if (conversation.plain) {
    for (const Message& m : conversation.messages) add(segments, *m.train, m.content);
    if (!segments.empty() && segments.back().label && !segments.back().text.ends_with(rules.eos))
      segments.back().text += rules.eos;
  } else {
    if (!rules.chat) throw UnavailableError(rules.no_chat);
    segments = render(*rules.chat, conversation.messages, false, conversation.inputs);
  }
  if (rules.train_on.rule == TrainOn::Rule::kAll) {
    std::string text = joined_text(segments);
    segments.clear();
    add(segments, true, text);
  }
  return segments;
}

void append_segments(std::string& out, const std::vector<Segment>& segments) {
  out += "{\"segments\":[";
  for (const Segment& s : segments) {
    if (&s != segments.data()) out += ',';
    out += s.label ? "{\"label\":true,\"text\":" : "{\"label\":false,\"text\":";
    append_json_string(out, s.text);
    out += '}';
  }
  out += "]}";
}

}  // namespace nibble
