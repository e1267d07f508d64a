// SPDX-License-Identifier: Apache-2.0
// Prompt and completion, {"prompt": "...", "completion": "..."}: text as it stands, of which the
// completion is the answer. Where both are lists of messages they are turns, the prompt's never
// trained on, as in TRL.
#include "data/conversation.h"
#include "data/turns.h"

namespace nibble {

constinit const Form kPromptForm = {
    .name = "prompt",
    .fields = R"({"prompt", "completion"}, texts or lists of messages)",
    .matches = [](const Fields& record) { return record.has("prompt"); },
    .read =
        [](const Fields& record, Conversation& conversation) {
          std::vector<Message>& messages = conversation.messages;
          if (record.at("prompt").is_array()) {
            conversation.inputs = read_inputs(record, false);
            read_turns(record, "prompt", messages);
            for (Message& message : messages)
              if (message.role == "assistant") message.train = false;
            if (record.at("completion").is_array())
              read_turns(record, "completion", messages);
            else
              messages.push_back(
                  {.role = "assistant", .content = std::string(record.text("completion"))});
            return;
          }
          conversation.plain = true;
          messages.push_back({.role = "user", .content = std::string(record.text("prompt"))});
          messages.push_back(
              {.role = "assistant", .content = std::string(record.text("completion"))});
        },
};

}  // namespace nibble
