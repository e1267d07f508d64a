// SPDX-License-Identifier: Apache-2.0
// OpenAI's form: {"messages": [{"role": "user", "content": "..."}, ...]}, with "tools" and
// "documents" beside them. The content is text or a list of text parts, and may be missing from a
// message that calls tools; what else a message has is the template's to read ("tool_calls",
// "reasoning_content", "name"), but for flags that say whether it is trained on (turns.h). A
// "completion", which nibble-generate adds, is the assistant's next turn.
#include "data/conversation.h"
#include "data/turns.h"

namespace nibble {

constinit const Form kMessagesForm = {
    .name = "messages",
    .fields = R"({"messages": [{"role", "content", "tool_calls", "weight", ...}, ...], "system", )"
              R"("tools", "documents"})",
    .matches = [](const Fields& record) { return record.has("messages"); },
    .read =
        [](const Fields& record, Conversation& conversation) {
          conversation.inputs = read_inputs(record, false);
          read_turns(record, "messages", conversation.messages);
          read_system(record, conversation.messages);
          if (record.has("completion"))
            conversation.messages.push_back(
                {.role = "assistant", .content = std::string(record.text("completion"))});
        },
};

}  // namespace nibble
