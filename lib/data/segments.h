// SPDX-License-Identifier: Apache-2.0
// Conversations to examples: turns rendered by a chat template, with what is trained on marked.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/conversation.h"
#include "data/example.h"
#include "text/chat_template.h"

namespace nibble {

/// Whose words are learnt. By flags: those of a message that has a flag as it says, else the
/// assistant's.
struct TrainOn {
  enum class Rule : uint8_t { kFlags, kAssistant, kLast, kAll, kRoles } rule = Rule::kFlags;
  std::vector<std::string> roles;
};
/// "flags", "assistant", "last" (the last answer only), "all", or "roles:user,assistant". Throws
/// UsageError.
TrainOn parse_train_on(std::string_view text);

struct SegmentRules {
  std::optional<ChatTemplate> chat;  // how turns are written
  std::string no_chat;               // where there is none: why, and the remedy
  std::string eos;                   // what ends plain text that is trained on; empty: nothing
  TrainOn train_on;
  bool any_order = false;  // take conversations whose turns are out of order
};

/// Rules by a template's NAME, a FILE of Jinja, or the folder of a model; where `model` is a folder
/// too, its special tokens are written and, without `name`, its own template. Both may be empty. A
/// model whose template is missing or unknown is taken all the same, since plain text needs none.
SegmentRules rules_for_template(const std::string& name, const std::string& model);

/// What was noticed in making an example.
struct ExampleNotes {
  int64_t flags = 0;             // messages that had a flag
  int64_t flags_overridden = 0;  // of them, those of which --train-on decided otherwise
  bool system_lost = false;      // the template does not write the system message
};

/// The text of a conversation. Throws DataError where the template cannot express it, a role is not
/// known or turns are out of order, and UnavailableError where it needs a template and there is
/// none. Sets the messages' train.
SegmentedExample to_example(const SegmentRules& rules, Conversation& conversation,
                            ExampleNotes* notes = nullptr);

}  // namespace nibble
