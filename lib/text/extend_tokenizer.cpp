// SPDX-License-Identifier: Apache-2.0
#include "text/extend_tokenizer.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/quote.h"
#include "io/json.h"
#include "io/lines.h"
#include "text/copy_tokenizer.h"
#include "text/json_tokenizer.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/unicode.h"

namespace nibble {
namespace {

constexpr size_t kMaxToken = 1024;

AddedToken parse_line(std::string_view line, const std::string& place) {
  AddedToken token;
  if (line.starts_with('{')) {
    const Json entry = parse_json(line, place);
    try {
      entry.at("content");
      token = parse_added_token(entry, 0);
    } catch (const DataError& error) {
      throw DataError(cat(place, ": ", error.what(), "; see \"added_tokens\" of a tokenizer.json"));
    }
  } else {
    token.text = line;
  }
  if (token.text.empty() || token.text.size() > kMaxToken || !is_utf8(token.text))
    throw DataError(cat(place, ": a token is 1 to ", kMaxToken, " bytes of UTF-8"));
  token.id = -1;
  return token;
}

Json entry_of(const AddedToken& token) {
  return Json::object({{"content", token.text},
                       {"single_word", token.single_word},
                       {"lstrip", token.lstrip},
                       {"rstrip", token.rstrip},
                       {"normalized", token.normalized},
                       {"special", token.special}});
}

// tokenizer.json's entries have the id in front.
void extend_document(Json& document, const std::vector<AddedToken>& added) {
  if (!document.find("added_tokens")) document.set("added_tokens", Json::array());
  Json::Array& list = document.find("added_tokens")->as_array();
  for (const AddedToken& token : added) {
    Json entry = entry_of(token);
    entry.as_object().emplace(entry.as_object().begin(), "id", int64_t{token.id});
    list.push_back(std::move(entry));
  }
}

// What is added already.
std::set<std::string> listed_tokens(const fs::path& folder) {
  std::set<std::string> out;
  for (const AddedToken& token : read_tokenizer_config(folder).added) out.insert(token.text);
  if (!input_exists(folder / "tokenizer.json")) return out;
  const Json document = read_json_file(folder / "tokenizer.json");
  if (const Json* list = document.find("added_tokens"))
    for (const Json& entry : list->as_array()) out.insert(entry.at("content").as_string());
  return out;
}

std::unique_ptr<Tokenizer> extended(const fs::path& folder, const std::vector<AddedToken>& added) {
  TokenizerConfig config = read_tokenizer_config(folder);
  config.added.insert(config.added.end(), added.begin(), added.end());
  if (input_exists(folder / "tokenizer.json")) {
    Json document = read_json_file(folder / "tokenizer.json");
    extend_document(document, added);
    return std::make_unique<JsonTokenizer>(document, config);
  }
  const MappedFile model(folder / "tokenizer.model");
  return std::make_unique<SentencePieceTokenizer>(model.text(), config);
}

}  // namespace

std::vector<AddedToken> read_token_list(const std::string& path) {
  LineReader lines(path);
  std::vector<AddedToken> out;
  std::set<std::string> seen;
  std::string_view line;
  while (lines.next(line)) {
    if (line.empty()) continue;
    out.push_back(parse_line(line, lines.place()));
    if (!seen.insert(out.back().text).second)
      throw DataError(cat(lines.place(), ": ", quote(out.back().text), " is listed twice"));
  }
  if (out.empty()) throw DataError(cat(path, ": no tokens; write one a line"));
  return out;
}

std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& path, const std::string& token_list) {
  if (token_list.empty()) return load_tokenizer(path);
  return ExtendedTokenizer(path, read_token_list(token_list)).take();
}

ExtendedTokenizer::ExtendedTokenizer(const fs::path& folder, std::vector<AddedToken> tokens)
    : folder_(folder), tokenizer_(load_tokenizer(folder)) {
  const std::set<std::string> listed = listed_tokens(folder);
  int32_t next = tokenizer_->vocab_size();
  for (AddedToken& token : tokens) {
    const auto known = tokenizer_->token_id(token.text);
    if (listed.contains(token.text) || (known && tokenizer_->is_special(*known))) continue;
    token.id = known ? *known : next++;
    added_.push_back(std::move(token));
  }
  if (!added_.empty()) tokenizer_ = extended(folder_, added_);
}

void ExtendedTokenizer::write(const fs::path& to) const {
  remove_tokenizer_files(to);
  copy_tokenizer_files(folder_, to);
  if (added_.empty()) return;
  if (input_exists(to / "tokenizer.json")) {
    Json document = read_json_file(to / "tokenizer.json");
    extend_document(document, added_);
    write_text_file(to / "tokenizer.json", document.dump(2) + "\n");
  }
  Json config = Json::object();
  if (input_exists(to / "tokenizer_config.json"))
    config = read_json_file(to / "tokenizer_config.json");
  if (!config.find("added_tokens_decoder")) config.set("added_tokens_decoder", Json::object());
  Json& decoder = *config.find("added_tokens_decoder");
  for (const AddedToken& token : added_) decoder.set(cat(token.id), entry_of(token));
  write_text_file(to / "tokenizer_config.json", config.dump(2) + "\n");
  if (input_exists(to / "added_tokens.json")) {
    Json ids = read_json_file(to / "added_tokens.json");
    for (const AddedToken& token : added_) ids.set(token.text, int64_t{token.id});
    write_text_file(to / "added_tokens.json", ids.dump(2) + "\n");
  }
}

}  // namespace nibble
