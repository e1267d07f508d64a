// SPDX-License-Identifier: Apache-2.0
#include "data/turns.h"

#include "base/error.h"
#include "base/quote.h"

namespace nibble {
namespace {

using simdjson::dom::element;

// What the field's people call the member that says whether a turn is trained on: OpenAI, axolotl
// and LLaMA-Factory.
constexpr std::string_view kFlags[] = {"weight", "train", "training", "loss_weight"};

bool is_flag(std::string_view name) {
  for (const std::string_view flag : kFlags)
    if (flag == name) return true;
  return false;
}

std::optional<bool> read_flag(const Fields& turn) {
  std::optional<bool> flag;
  for (const std::string_view name : kFlags) {
    if (!turn.has(name)) continue;
    const element value = turn.at(name);
    double number = 0;
    bool on = false;
    if (value.get_bool().get(on) != simdjson::SUCCESS) {
      if (value.get_double().get(number) != simdjson::SUCCESS)
        turn.fail(cat("\"", name, "\" is ", kind_name(value.type()), ", not 0, 1 or a boolean"));
      if (number != 0 && number != 1)
        turn.fail(cat("\"", name, "\" is ", number, "; a turn is trained on (1) or not (0)"));
      on = number == 1;
    }
    if (flag && *flag != on) turn.fail("has flags that contradict each other");
    flag = on;
  }
  return flag;
}

// Text, or the text of parts: [{"type": "text", "text": "..."}, ...], joined.
std::string read_content(const Fields& turn) {
  if (turn.at("content").is_string()) return std::string(turn.text("content"));
  if (!turn.at("content").is_array())
    turn.fail(cat("\"content\" is ", kind_name(turn.at("content").type()),
                  ", neither text nor a list of parts"));
  std::string content;
  size_t i = 0;
  for (const auto item : turn.array("content")) {
    const Fields part(item, own_names(), cat(turn.place(), "content[", i++, "]: "));
    if (const std::string_view type = part.text_or("type", "text"); type != "text")
      part.fail(cat("is of type ", quote(type), ", and only text can be read"));
    content += part.text(part.has("text") || !part.has("value") ? "text" : "value");
  }
  return content;
}

// The members beside role and content, with "content" where there is no text.
Json::Object read_members(const Fields& turn, bool has_content) {
  Json::Object fields;
  for (const auto member : turn.object())
    if (member.key != "role" && member.key != "content" && !is_flag(member.key))
      fields.emplace_back(std::string(member.key), to_json(member.value));
  if (!has_content) fields.emplace_back("content", nullptr);
  return fields;
}

Message read_message(const Fields& turn) {
  if (turn.has("function_call"))
    turn.fail("has \"function_call\", which cannot be read; write it as \"tool_calls\"");
  const bool has_content = turn.has("content") || !turn.has("tool_calls");
  return {.role = std::string(turn.text("role")),
          .content = has_content ? read_content(turn) : "",
          .flag = read_flag(turn),
          .fields = read_members(turn, has_content)};
}

// {"name", "arguments"} or a list of them, as text or as it stands, to "tool_calls".
Json::Array read_calls(const Fields& turn) {
  const element value = turn.at("value");
  Json said;
  if (value.is_string()) {
    try {
      said = parse_json(turn.text("value"), "value");
    } catch (const DataError& e) {
      turn.fail(cat("no function call: ", e.what()));
    }
  } else {
    said = to_json(value);
  }
  Json::Array calls;
  if (!said.is_array()) said = Json::array({std::move(said)});
  for (Json& call : said.as_array()) {
    if (!call.find("name") || !call.at("name").is_string())
      turn.fail("no function call: no \"name\" in it");
    if (!call.find("arguments")) call.set("arguments", Json::object());
    calls.push_back(Json::object({{"type", "function"}, {"function", std::move(call)}}));
  }
  return calls;
}

// ShareGPT's names for who speaks, and those that data has beside them.
struct Speaker {
  std::string_view from, role;
};
constexpr Speaker kSpeakers[] = {{"human", "user"},        {"user", "user"},
                                 {"gpt", "assistant"},     {"assistant", "assistant"},
                                 {"chatgpt", "assistant"}, {"bing", "assistant"},
                                 {"bard", "assistant"},    {"model", "assistant"},
                                 {"system", "system"},     {"observation", "tool"},
                                 {"tool", "tool"},         {"tool_response", "tool"},
                                 {"function", "tool"},     {"function_response", "tool"}};

Message read_said(const Fields& turn) {
  const std::string_view from = turn.text("from");
  if (from == "function_call" || from == "tool_call")
    return {.role = "assistant",
            .flag = read_flag(turn),
            .fields = {{"tool_calls", read_calls(turn)}, {"content", nullptr}}};
  for (const auto& [name, role] : kSpeakers) {
    if (name != from) continue;
    // What a tool gives may be an object, which is written as JSON.
    const bool is_text = turn.at("value").is_string() || role != "tool";
    return {.role = std::string(role),
            .content = is_text ? std::string(turn.text("value")) : to_json(turn.at("value")).dump(),
            .flag = read_flag(turn)};
  }
  turn.fail(cat("from ", quote(from),
                ", which cannot be read (human, gpt, system, function_call, "
                "observation and tool can)"));
}

}  // namespace

void read_turn(element turn, const std::string& place, std::vector<Message>& messages) {
  const Fields fields(turn, own_names(), place);
  if (fields.has("from") && !fields.has("role"))
    messages.push_back(read_said(fields));
  else
    messages.push_back(read_message(fields));
}

void read_turns(const Fields& record, std::string_view field, std::vector<Message>& messages) {
  const auto items = record.array(field);
  if (items.size() == 0) record.fail(cat("\"", record.name(field), "\" is empty"));
  size_t i = 0;
  for (const auto item : items)
    read_turn(item, cat(record.place(), record.name(field), "[", i++, "]: "), messages);
}

void read_system(const Fields& record, std::vector<Message>& messages) {
  if (const auto system = record.text_or("system", ""); !system.empty())
    messages.insert(messages.begin(), {.role = "system", .content = std::string(system)});
}

ChatInputs read_inputs(const Fields& record, bool wrap_tools) {
  ChatInputs inputs = {.tools = record.list("tools"), .documents = record.list("documents")};
  if (wrap_tools && inputs.tools.is_array())
    for (Json& tool : inputs.tools.as_array())
      if (tool.is_object() && !tool.find("function") && tool.find("name"))
        tool = Json::object({{"type", "function"}, {"function", Json(std::move(tool))}});
  return inputs;
}

}  // namespace nibble
