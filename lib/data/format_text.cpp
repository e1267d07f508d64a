// SPDX-License-Identifier: Apache-2.0
// Plain text, {"text": "..."}: a document, all of it trained on.
#include "data/conversation.h"

namespace nibble {

constinit const Form kTextForm = {
    .name = "text",
    .fields = R"({"text"})",
    .matches = [](const Fields& record) { return record.has("text"); },
    .read =
        [](const Fields& record, Conversation& conversation) {
          conversation.plain = true;
          conversation.messages.push_back(
              {.role = "assistant", .content = std::string(record.text("text"))});
        },
};

}  // namespace nibble
