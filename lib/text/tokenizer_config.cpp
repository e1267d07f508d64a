// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_config.h"

#include <algorithm>
#include <charconv>

namespace nibble {
namespace {

constexpr size_t kMaxTemplate = size_t{1} << 20;

// A token is written as its text or as an object with its "content".
std::optional<std::string> token_text(const Json* value) {
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (value->is_object()) return value->at("content").as_string();
  return value->as_string();
}

void take(std::optional<std::string>& target, const Json& document, std::string_view name) {
  if (!target) target = token_text(document.find(name));
}
void take(std::optional<bool>& target, const Json& document, std::string_view name) {
  const Json* value = document.find(name);
  if (!target && value != nullptr && !value->is_null()) target = value->as_bool();
}

// Of several ids the first.
void take(std::optional<int32_t>& target, const Json& document, std::string_view name) {
  const Json* value = document.find(name);
  if (value != nullptr && value->is_array())
    value = value->as_array().empty() ? nullptr : &value->as_array()[0];
  if (target || value == nullptr || value->is_null()) return;
  const int64_t id = value->as_integer();
  if (id < 0) return;  // some write -1 for none
  if (id >= kMaxTokenId) throw DataError(cat("\"", name, "\" is ", id, ", beyond any vocabulary"));
  target = static_cast<int32_t>(id);
}

void take_special(TokenizerConfig& config, const Json& document) {
  take(config.bos, document, "bos_token");
  take(config.eos, document, "eos_token");
  take(config.pad, document, "pad_token");
  take(config.unk, document, "unk_token");
  for (const char* name :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"})
    if (auto text = token_text(document.find(name))) config.special.push_back(std::move(*text));
  for (const char* name : {"additional_special_tokens", "extra_special_tokens"}) {
    const Json* list = document.find(name);
    if (list == nullptr || !list->is_array()) continue;
    for (const Json& item : list->as_array())
      if (auto text = token_text(&item)) config.special.push_back(std::move(*text));
  }
}

void take_added_decoder(TokenizerConfig& config, const Json& document) {
  const Json* decoder = document.find("added_tokens_decoder");
  if (decoder == nullptr || decoder->is_null()) return;
  for (const auto& [key, entry] : decoder->as_object()) {
    int64_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size())
      throw DataError(cat("\"added_tokens_decoder\": \"", key, "\" is no id"));
    config.added.push_back(parse_added_token(entry, id));
  }
}

// A template, or a list of named ones: "default" for chats, "tool_use" for chats with tools.
void take_chat_template(TokenizerConfig& config, const Json& document) {
  const Json* value = document.find("chat_template");
  if (value == nullptr || value->is_null()) return;
  const auto set = [](std::string& target, const std::string& source) {
    if (target.empty()) target = source;
  };
  if (!value->is_array()) return set(config.chat_template, value->as_string());
  for (const Json& item : value->as_array()) {
    const std::string& name = item.at("name").as_string();
    if (name == "default") set(config.chat_template, item.at("template").as_string());
    if (name == "tool_use") set(config.tool_chat_template, item.at("template").as_string());
  }
}

// Calls use(document) where the file exists; its errors name the file.
template <class Use>
void with_json(const fs::path& file, Use use) {
  if (!input_exists(file)) return;
  const Json document = read_json_file(file);
  try {
    use(document);
  } catch (const DataError& e) {
    throw DataError(cat(file.string(), ": ", e.what()));
  }
}

}  // namespace

AddedToken parse_added_token(const Json& entry, int64_t id) {
  if (id < 0 || id >= kMaxTokenId) throw DataError(cat("an added token has the id ", id));
  const auto flag = [&](std::string_view name) {
    const Json* value = entry.find(name);
    return value != nullptr && !value->is_null() && value->as_bool();
  };
  const Json* normalized = entry.find("normalized");
  return {.text = entry.at("content").as_string(),
          .id = static_cast<int32_t>(id),
          .special = flag("special"),
          .lstrip = flag("lstrip"),
          .rstrip = flag("rstrip"),
          .single_word = flag("single_word"),
          .normalized = normalized != nullptr ? normalized->as_bool() : !flag("special")};
}

TokenizerConfig read_tokenizer_config(const fs::path& folder) {
  TokenizerConfig config;
  if (input_exists(folder / "chat_template.jinja"))
    config.chat_template = read_text_file(folder / "chat_template.jinja", kMaxTemplate);
  const fs::path tool_use = folder / "additional_chat_templates" / "tool_use.jinja";
  if (input_exists(tool_use)) config.tool_chat_template = read_text_file(tool_use, kMaxTemplate);
  with_json(folder / "tokenizer_config.json", [&](const Json& document) {
    take_special(config, document);
    take_added_decoder(config, document);
    take_chat_template(config, document);
    take(config.add_bos, document, "add_bos_token");
    take(config.add_eos, document, "add_eos_token");
    take(config.legacy, document, "legacy");
    take(config.add_prefix_space, document, "add_prefix_space");
  });
  with_json(folder / "special_tokens_map.json",
            [&](const Json& document) { take_special(config, document); });
  with_json(folder / "added_tokens.json", [&](const Json& document) {
    for (const auto& [text, id] : document.as_object()) {
      const bool known =
          std::any_of(config.added.begin(), config.added.end(),
                      [&, &name = text](const AddedToken& a) { return a.text == name; });
      if (known) continue;
      AddedToken token = parse_added_token(Json::object({{"content", text}}), id.as_integer());
      token.special =
          std::find(config.special.begin(), config.special.end(), text) != config.special.end();
      token.normalized = !token.special;
      config.added.push_back(std::move(token));
    }
  });
  for (const char* name : {"generation_config.json", "config.json"})
    with_json(folder / name, [&](const Json& document) {
      take(config.bos_id, document, "bos_token_id");
      take(config.eos_id, document, "eos_token_id");
      take(config.pad_id, document, "pad_token_id");
    });
  return config;
}

}  // namespace nibble
