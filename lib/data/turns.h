// SPDX-License-Identifier: Apache-2.0
// Turns as the forms of instruction data write them: OpenAI's {"role", "content"} and ShareGPT's
// {"from", "value"}.
#pragma once

#include <string_view>
#include <vector>

#include "data/fields.h"
#include "text/chat_template.h"

namespace nibble {

/// One turn, of either kind, appended to the messages. "weight" (0 or 1), "loss_weight", "train"
/// and "training" become Message::flag; other members become the message's fields. A ShareGPT
/// "function_call" is an assistant's turn with "tool_calls", an "observation" a tool's. `place`
/// ("messages[2]: ") starts the messages of DataError.
void read_turn(simdjson::dom::element turn, const std::string& place,
               std::vector<Message>& messages);

/// The turns of a list; DataError where it is empty.
void read_turns(const Fields& record, std::string_view field, std::vector<Message>& messages);

/// A "system" text beside the turns, where there is one, as the first of them.
void read_system(const Fields& record, std::vector<Message>& messages);

/// "tools" and "documents" beside the turns, as lists or the text of lists. With `wrap_tools`, bare
/// functions are wrapped as templates expect them: {"type": "function", "function": {...}}.
ChatInputs read_inputs(const Fields& record, bool wrap_tools);

}  // namespace nibble
