// SPDX-License-Identifier: Apache-2.0
// Segments: an example as text, cut where training on it begins and ends. One JSON object a line,
// {"segments":[{"label":false,"text":"..."},{"label":true,"text":"..."}]}: axolotl's input_output.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/conversation.h"
#include "text/chat_template.h"

namespace nibble {

/// Whose words are learnt.
struct TrainOn {
  enum class Rule : uint8_t { kAssistant, kLast, kAll, kRoles } rule = Rule::kAssistant;
  std::vector<std::string> roles;
};
/// "assistant", "last" (the last answer only), "all", or "roles:user,assistant". Throws UsageError.
TrainOn parse_train_on(std::string_view text);

struct SegmentRules {
  std::optional<ChatTemplate> chat;  // how turns are written
  std::string no_chat;               // where there is none: why, and the remedy
  std::string eos;                   // what ends plain text that is trained on; empty: nothing
  TrainOn train_on;
};

/// Rules by a template's NAME, a FILE of Jinja, or the folder of a model; where `model` is a folder
/// too, its special tokens are written and, without `name`, its own template. Both may be empty. A
/// model whose template is missing or unknown is taken all the same, since plain text needs none.
SegmentRules rules_for_template(const std::string& name, const std::string& model);

/// The text of a conversation. Throws DataError where the template cannot express it, and
/// UnavailableError where it needs a template and there is none.
std::vector<Segment> to_segments(const SegmentRules& rules, Conversation& conversation);

/// Appends the JSON object.
void append_segments(std::string& out, const std::vector<Segment>& segments);

}  // namespace nibble
