// SPDX-License-Identifier: Apache-2.0
// Stanford Alpaca's form: {"instruction", "input", "output"}, "input" empty or absent where the
// instruction says all; a "system" message and earlier turns, "history": [[question, answer], ...],
// as LLaMA-Factory adds them.
#include "base/error.h"
#include "data/conversation.h"

namespace nibble {
namespace {

void read_history(const Fields& record, std::vector<Message>& messages) {
  for (const auto item : record.array("history")) {
    simdjson::dom::array pair;
    std::string_view question, answer;
    if (item.get_array().get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
        pair.at(0).get_string().get(question) != simdjson::SUCCESS ||
        pair.at(1).get_string().get(answer) != simdjson::SUCCESS)
      record.fail("\"history\" is not a list of [question, answer]");
    messages.push_back({.role = "user", .content = std::string(question)});
    messages.push_back({.role = "assistant", .content = std::string(answer)});
  }
}

}  // namespace

constinit const Form kAlpacaForm = {
    .name = "alpaca",
    .fields = R"({"instruction", "input", "output", "system", "history"})",
    .matches = [](const Fields& record) { return record.has("instruction"); },
    .read =
        [](const Fields& record, Conversation& conversation) {
          if (const auto system = record.text_or("system", ""); !system.empty())
            conversation.messages.push_back({.role = "system", .content = std::string(system)});
          if (record.has("history")) read_history(record, conversation.messages);
          conversation.messages.push_back({.role = "user",
                                           .content = std::string(record.text("instruction")),
                                           .input = std::string(record.text_or("input", ""))});
          conversation.messages.push_back(
              {.role = "assistant", .content = std::string(record.text("output"))});
        },
};

}  // namespace nibble
