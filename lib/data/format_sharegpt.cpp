// SPDX-License-Identifier: Apache-2.0
// ShareGPT's form: {"conversations": [{"from": "human", "value": "..."}, ...]}, with a "system"
// message beside it or as the first turn, and "tools", a list or the text of one. Speakers are
// human, gpt, system, function_call (whose value is {"name", "arguments"}, or a list of them),
// observation (what the function gave) and tool.
#include "data/conversation.h"
#include "data/turns.h"

namespace nibble {

constinit const Form kSharegptForm = {
    .name = "sharegpt",
    .fields = R"({"conversations": [{"from", "value"}, ...], "system", "tools"})",
    .matches = [](const Fields& record) { return record.has("conversations"); },
    .read =
        [](const Fields& record, Conversation& conversation) {
          conversation.inputs = read_inputs(record, true);
          read_turns(record, "conversations", conversation.messages);
          read_system(record, conversation.messages);
        },
};

}  // namespace nibble
