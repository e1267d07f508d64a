// SPDX-License-Identifier: Apache-2.0
// Stanford Alpaca's form: {"instruction", "input", "output"}, "input" empty or absent where the
// instruction says all; a "system" message and earlier turns, "history": [[question, answer], ...],
// as LLaMA-Factory adds them.
#include "base/error.h"
#include "data/conversation.h"
#include "data/turns.h"

namespace nibble {
namespace {

void read_history(const Fields& record, std::vector<Message>& messages) {
  const simdjson::dom::element history = record.at("history");
  if (history.is_string() && record.text("history").empty()) return;  // an empty cell of a table
  for (const auto item : record.array("history")) {
    simdjson::dom::array pair;
    std::string_view question, answer;
    if (item.get_array().get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
        pair.at(0).get_string().get(question) != simdjson::SUCCESS ||
        pair.at(1).get_string().get(answer) != simdjson::SUCCESS)
      record.fail(cat("\"", record.name("history"), "\" is not a list of [question, answer]"));
    messages.push_back({.role = "user", .content = std::string(question)});
    messages.push_back({.role = "assistant", .content = std::string(answer)});
  }
}

}  // namespace

void read_alpaca_prompt(const Fields& record, std::vector<Message>& messages) {
  if (record.has("history")) read_history(record, messages);
  messages.push_back({.role = "user",
                      .content = std::string(record.text("instruction")),
                      .input = std::string(record.text_or("input", ""))});
  read_system(record, messages);
}

constinit const Form kAlpacaForm = {
    .name = "alpaca",
    .fields = R"({"instruction", "input", "output", "system", "history"})",
    .matches = [](const Fields& record) { return record.has("instruction"); },
    .read =
        [](const Fields& record, Conversation& conversation) {
          read_alpaca_prompt(record, conversation.messages);
          conversation.messages.push_back(
              {.role = "assistant", .content = std::string(record.text("output"))});
        },
};

}  // namespace nibble
