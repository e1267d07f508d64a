// SPDX-License-Identifier: Apache-2.0
#include "infer/prompts.h"

#include <algorithm>

#include "data/conversation.h"
#include "data/records.h"

namespace nibble {

std::optional<TooLong> too_long(int64_t tokens, int64_t context, int64_t most) {
  if (tokens >= most)
    return TooLong{cat("the prompt has ", tokens, " tokens, the model's context is ", most),
                   "shorten it"};
  if (context > 0 && tokens >= context)
    return TooLong{cat("the prompt has ", tokens, " tokens, --context=", context,
                       " has no room for it and one more"),
                   cat("use --context=", tokens + 1, " or more")};
  return {};
}

Prompter::Prompter(const Tokenizer& tokenizer, const ModelConfig& config,
                   const std::string& template_name, bool raw, const std::string& place)
    : tokenizer_(tokenizer), stop_ids_(config.eos) {
  if (!raw && (!template_name.empty() || !tokenizer.chat_template.empty()))
    chat_ = model_chat_template(tokenizer, template_name, place);
  const auto add = [&](std::optional<int32_t> id) {
    if (id && std::find(stop_ids_.begin(), stop_ids_.end(), *id) == stop_ids_.end())
      stop_ids_.push_back(*id);
  };
  add(tokenizer.eos);
  if (chat_) add(tokenizer.token_id(end_of_turn(*chat_)));
}

std::vector<int32_t> Prompter::encode(std::string_view text) const {
  std::vector<int32_t> ids = tokenizer_.encode(text);
  const bool has_bos = tokenizer_.bos && !ids.empty() && ids.front() == *tokenizer_.bos;
  if (tokenizer_.add_bos && tokenizer_.bos && !has_bos) ids.insert(ids.begin(), *tokenizer_.bos);
  if (ids.empty()) throw DataError("the prompt has no token");
  return ids;
}

std::vector<int32_t> Prompter::from_text(std::string_view text) const {
  if (!chat_) return encode(text);
  const Message message{.role = "user", .content = std::string(text)};
  return from_messages({&message, 1});
}

std::vector<int32_t> Prompter::from_messages(std::span<const Message> messages,
                                             const ChatInputs& inputs) const {
  if (chat_) return encode(render_text(*chat_, messages, true, inputs));
  std::string text;
  for (const Message& m : messages) text += m.content;
  return encode(text);
}

std::vector<int32_t> Prompter::from_record(std::string_view json) const {
  const simdjson::dom::element record = parse_record(json);
  const FieldNames names;
  const Fields fields(record, names);
  if (fields.has("prompt") && !fields.has("completion") && !fields.has("messages"))
    return from_text(fields.text("prompt"));
  Conversation conversation;
  read_conversation(detect_form(fields), fields, conversation);
  auto& messages = conversation.messages;
  if (!messages.empty() && messages.back().role == "assistant") messages.pop_back();
  if (messages.empty()) throw DataError("nothing comes before the answer");
  if (!conversation.plain) return from_messages(messages, conversation.inputs);
  std::string text;
  for (const Message& m : messages) text += m.content;
  return from_text(text);
}

std::string Prompter::text(std::span<const int32_t> completion) const {
  std::string out;
  for (const int32_t id : completion)
    if (!tokenizer_.is_special(id)) tokenizer_.append_token_bytes(id, out);
  return out;
}

}  // namespace nibble
