// SPDX-License-Identifier: Apache-2.0
// ShareGPT's form: {"conversations": [{"from": "human", "value": "..."}, ...]}, with a "system"
// message beside it or as the first turn.
#include "base/error.h"
#include "data/conversation.h"

namespace nibble {
namespace {

std::string role_of(const Fields& turn) {
  const std::string_view from = turn.text("from");
  if (from == "human" || from == "user") return "user";
  if (from == "gpt" || from == "chatgpt" || from == "assistant") return "assistant";
  if (from == "system") return "system";
  turn.fail(cat("from \"", from, "\", which cannot be read (human, gpt and system can)"));
}

}  // namespace

constinit const Form kSharegptForm = {
    .name = "sharegpt",
    .fields = R"({"conversations": [{"from", "value"}, ...], "system"})",
    .matches = [](const Fields& record) { return record.has("conversations"); },
    .read =
        [](const Fields& record, Conversation& conversation) {
          static const FieldNames kOwnNames;
          if (const auto system = record.text_or("system", ""); !system.empty())
            conversation.messages.push_back({.role = "system", .content = std::string(system)});
          const auto turns = record.array("conversations");
          const std::string_view name = record.name("conversations");
          if (turns.size() == 0) record.fail(cat("\"", name, "\" is empty"));
          size_t i = 0;
          for (const auto item : turns) {
            const Fields turn(item, kOwnNames, cat(name, "[", i++, "]: "));
            conversation.messages.push_back(
                {.role = role_of(turn), .content = std::string(turn.text("value"))});
          }
        },
};

}  // namespace nibble
