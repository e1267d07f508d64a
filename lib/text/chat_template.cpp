// SPDX-License-Identifier: Apache-2.0
#include "text/chat_template.h"

#include <algorithm>

#include "base/error.h"
#include "io/file.h"
#include "text/chat_masks.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace nibble {
namespace {

// Names under which a message's reasoning comes; templates read the first, gpt-oss's the second.
constexpr const char* kReasoning[] = {"reasoning_content", "thinking", "reasoning"};

const Json* find_field(const Json::Object& fields, std::string_view name) {
  const auto at = std::find_if(fields.begin(), fields.end(),
                               [&](const Json::Member& f) { return f.first == name; });
  return at == fields.end() ? nullptr : &at->second;
}

Json content_of(const ChatTemplate& chat, const Message& m) {
  if (const Json* content = find_field(m.fields, "content")) return *content;
  if (m.input.empty() || chat.has_input_section) return m.content;
  return cat(m.content, "\n", m.input);
}

// A message as templates see it. As transformers does, reasoning gets all the names it goes by.
Json message_json(const ChatTemplate& chat, const Message& m) {
  Json::Object out;
  const Json* reasoning = nullptr;
  for (const char* name : kReasoning)
    if (reasoning == nullptr || reasoning->is_null()) reasoning = find_field(m.fields, name);
  if (reasoning != nullptr && reasoning->is_null()) reasoning = nullptr;
  if (reasoning && find_field(m.fields, "thinking") == nullptr)
    out.emplace_back("thinking", *reasoning);
  out.emplace_back("role", m.role);
  out.emplace_back("content", content_of(chat, m));
  for (const auto& [name, value] : m.fields)
    if (name != "content" && name != "role" && !(reasoning && name == kReasoning[0]))
      out.emplace_back(name, value);
  if (reasoning) out.emplace_back(kReasoning[0], *reasoning);
  if (chat.has_input_section) out.emplace_back("input", m.input);
  return out;
}

// What a template has no place for would be lost without a word.
void check_places(const ChatTemplate& chat, std::span<const Message> messages,
                  const ChatInputs& inputs) {
  const auto refuse = [&](std::string_view what) {
    throw DataError(cat(chat.name, ": the template has no place for ", what,
                        "; take a model's own with --template=DIR, or drop them"));
  };
  const jinja::Template& source = source_for(chat, inputs);
  if (!inputs.tools.is_null() && !source.reads("tools")) refuse("\"tools\"");
  if (!inputs.documents.is_null() && !source.reads("documents")) refuse("\"documents\"");
  for (const Message& m : messages) {
    const Json* calls = find_field(m.fields, "tool_calls");
    if (calls != nullptr && !calls->is_null() && !source.mentions("tool_calls"))
      refuse("\"tool_calls\"");
  }
}

}  // namespace

const jinja::Template& source_for(const ChatTemplate& chat, const ChatInputs& inputs) {
  return !inputs.tools.is_null() && chat.with_tools ? *chat.with_tools : *chat.jinja;
}

jinja::Rendered render_chat(const ChatTemplate& chat, std::span<const Message> messages,
                            bool add_generation_prompt, const ChatInputs& inputs) {
  check_places(chat, messages, inputs);
  Json::Array list;
  list.reserve(messages.size());
  for (const Message& m : messages) list.push_back(message_json(chat, m));
  Json::Object variables;
  variables.emplace_back("messages", std::move(list));
  variables.emplace_back("tools", inputs.tools);
  variables.emplace_back("documents", inputs.documents);
  variables.emplace_back("add_generation_prompt", add_generation_prompt);
  if (!chat.bos.empty()) variables.emplace_back("bos_token", chat.bos);
  if (!chat.eos.empty()) variables.emplace_back("eos_token", chat.eos);
  for (const auto& [name, value] : inputs.variables) variables.emplace_back(name, value);
  try {
    return source_for(chat, inputs).render(std::move(variables), {.now = chat.now});
  } catch (const jinja::TemplateError& e) {
    if (e.message != "'bos_token' is undefined" && e.message != "'eos_token' is undefined") throw;
    throw DataError(cat(e.what(), "; give --model=DIR, the model whose special tokens it writes"));
  }
}

ChatTemplate chat_template_from_jinja(std::string_view source, std::string_view bos,
                                      std::string_view eos, const std::string& place) {
  return {.name = place,
          .bos = std::string(bos),
          .eos = std::string(eos),
          .jinja = std::make_shared<const jinja::Template>(source, place)};
}

ChatTemplate model_chat_template(const Tokenizer& tokenizer, std::string_view name,
                                 const std::string& place) {
  const std::string bos = tokenizer.bos ? tokenizer.token_text(*tokenizer.bos) : "";
  const std::string eos = tokenizer.eos ? tokenizer.token_text(*tokenizer.eos) : "";
  std::string names;
  for (const std::string& known : chat_template_names()) {
    if (known == name) return chat_template_by_name(name, bos, eos);
    names += cat(names.empty() ? "" : ", ", known);
  }
  if (!name.empty() && input_exists(name))
    return chat_template_from_jinja(read_text_file(name, jinja::kMaxSource), bos, eos,
                                    std::string(name));
  if (!name.empty()) return chat_template_by_name(name, bos, eos);  // which says what there is
  const std::string remedy = cat("pass --template=NAME, one of ", names, ", or a FILE of Jinja");
  if (tokenizer.chat_template.empty())
    throw UnavailableError(cat(place, ": the model has no chat template; ", remedy));
  try {
    ChatTemplate chat =
        chat_template_from_jinja(tokenizer.chat_template, bos, eos, cat(place, ": chat template"));
    if (!tokenizer.tool_chat_template.empty())
      chat.with_tools = std::make_shared<const jinja::Template>(
          tokenizer.tool_chat_template, cat(place, ": chat template \"tool_use\""));
    return chat;
  } catch (const jinja::TemplateError& e) {
    throw UnavailableError(cat(e.what(), "; ", remedy));
  }
}

std::string render_text(const ChatTemplate& chat, std::span<const Message> messages,
                        bool add_generation_prompt, const ChatInputs& inputs) {
  return render_chat(chat, messages, add_generation_prompt, inputs).text;
}

std::string joined_text(std::span<const Segment> segments) {
  std::string text;
  for (const Segment& s : segments) text += s.text;
  return text;
}

}  // namespace nibble
