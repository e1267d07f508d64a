// SPDX-License-Identifier: Apache-2.0
#include "data/segments.h"

#include <algorithm>

#include "base/error.h"
#include "data/roles.h"
#include "io/file.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace nibble {
namespace {

bool decide(const TrainOn& train_on, const Message& m, bool is_last) {
  switch (train_on.rule) {
    case TrainOn::Rule::kFlags:
      return m.flag.value_or(m.role == "assistant");
    case TrainOn::Rule::kAssistant:
      return m.role == "assistant";
    case TrainOn::Rule::kLast:
      return is_last;
    case TrainOn::Rule::kAll:
      return true;
    case TrainOn::Rule::kRoles:
      break;
  }
  return std::find(train_on.roles.begin(), train_on.roles.end(), m.role) != train_on.roles.end();
}

// Decides every message's train flag. What a form has set stands.
void mark(const TrainOn& train_on, std::vector<Message>& messages) {
  const auto last = std::find_if(messages.rbegin(), messages.rend(),
                                 [](const Message& m) { return m.role == "assistant"; });
  for (Message& m : messages)
    if (!m.train) m.train = decide(train_on, m, last != messages.rend() && &m == &*last);
}

void add(std::vector<Segment>& segments, bool label, std::string_view text) {
  if (text.empty()) return;
  if (segments.empty() || segments.back().label != label) segments.push_back({label, {}});
  segments.back().text += text;
}

std::vector<Segment> plain_segments(const SegmentRules& rules,
                                    const std::vector<Message>& messages) {
  std::vector<Segment> segments;
  for (const Message& m : messages) add(segments, *m.train, m.content);
  if (!segments.empty() && segments.back().label && !segments.back().text.ends_with(rules.eos))
    segments.back().text += rules.eos;
  return segments;
}

// A template that leaves the system message out teaches what was never said.
bool writes_system(std::span<const Message> messages, const std::vector<Segment>& segments) {
  if (messages.empty() || messages[0].role != "system") return true;
  const std::string_view said = python_strip(messages[0].content);
  if (said.empty()) return true;
  return joined_text(segments).find(said) != std::string::npos;
}

// One side: the whole conversation, or of a pair with one of the answers.
std::vector<Segment> side(const SegmentRules& rules, std::vector<Message>& messages, bool plain,
                          const ChatInputs& inputs, ExampleNotes* notes) {
  mark(rules.train_on, messages);
  for (const Message& m : messages) {
    if (!notes || !m.flag) continue;
    ++notes->flags;
    notes->flags_overridden += *m.flag != *m.train;
  }
  if (plain) return plain_segments(rules, messages);
  if (!rules.chat) throw UnavailableError(rules.no_chat);
  check_roles(*rules.chat, messages, rules.train_on.roles);
  if (!rules.any_order)
    if (const std::string fault = order_fault(messages); !fault.empty())
      throw DataError(cat(fault, "; --any-order takes turns in any order"));
  std::vector<Segment> segments = render(*rules.chat, messages, false, inputs);
  if (notes && !writes_system(messages, segments)) notes->system_lost = true;
  return segments;
}

}  // namespace

TrainOn parse_train_on(std::string_view text) {
  if (text == "flags") return {TrainOn::Rule::kFlags, {}};
  if (text == "assistant") return {TrainOn::Rule::kAssistant, {}};
  if (text == "last") return {TrainOn::Rule::kLast, {}};
  if (text == "all") return {TrainOn::Rule::kAll, {}};
  constexpr std::string_view kRoles = "roles:";
  if (!text.starts_with(kRoles) || text.size() == kRoles.size())
    throw UsageError(
        cat("--train-on=", text, ": expected assistant, last, all, flags or roles:ROLE,ROLE"));
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

SegmentedExample to_example(const SegmentRules& rules, Conversation& conversation,
                            ExampleNotes* notes) {
  const bool all = rules.train_on.rule == TrainOn::Rule::kAll;
  const bool is_pair = !conversation.rejected.empty();
  if (all && (is_pair || conversation.desirable))
    throw UsageError(
        "--train-on=all: preferences are learnt from answers; leave it out, or choose roles");
  std::vector<Message> other;
  if (is_pair) {
    other.assign(conversation.messages.begin(),
                 conversation.messages.begin() + static_cast<std::ptrdiff_t>(conversation.answer));
    other.insert(other.end(), conversation.rejected.begin(), conversation.rejected.end());
  }
  SegmentedExample example;
  example.desirable = conversation.desirable;
  example.segments =
      side(rules, conversation.messages, conversation.plain, conversation.inputs, notes);
  if (is_pair)
    example.rejected = side(rules, other, conversation.plain, conversation.inputs, notes);
  if (is_pair && (example.segments.empty() || example.rejected.empty()))
    throw DataError("a preference pair with an empty side");
  if (all) {
    std::string text = joined_text(example.segments);
    example.segments.clear();
    add(example.segments, true, text);
  }
  return example;
}

}  // namespace nibble
