// SPDX-License-Identifier: Apache-2.0
// Question and answer, {"question": "...", "answer": "..."}: a user's turn and the assistant's,
// which a template writes; with a "system" message beside them.
#include "data/conversation.h"
#include "data/turns.h"

namespace nibble {

constinit const Form kQuestionForm = {
    .name = "question",
    .fields = R"({"question", "answer", "system"})",
    .matches = [](const Fields& record) { return record.has("question") && record.has("answer"); },
    .read =
        [](const Fields& record, Conversation& conversation) {
          conversation.messages = {
              {.role = "user", .content = std::string(record.text("question"))},
              {.role = "assistant", .content = std::string(record.text("answer"))}};
          read_system(record, conversation.messages);
        },
};

}  // namespace nibble
