// SPDX-License-Identifier: Apache-2.0
#include "text/vocabulary.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "text/space_mark.h"
#include "text/unicode.h"

namespace nibble {
namespace {

// GPT-2 spells bytes that print in Latin-1 as themselves and the others, in order, from U+0100 on.
constexpr size_t kSpelled = 0x144;
constexpr std::array<int16_t, kSpelled> kByteOfCode = [] {
  std::array<int16_t, kSpelled> bytes{};
  bytes.fill(-1);
  int next = 0x100;
  for (int b = 0; b < 256; ++b) {
    const bool prints = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    bytes[static_cast<size_t>(prints ? b : next++)] = static_cast<int16_t>(b);
  }
  return bytes;
}();

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool append_bytes_of_spelling(std::string& out, std::string_view spelled) {
  const size_t before = out.size();
  for (size_t at = 0; at < spelled.size();) {
    const CodePoint p = read_utf8(spelled, at);
    if (p.code >= kSpelled || kByteOfCode[p.code] < 0) {
      out.resize(before);
      return false;
    }
    out += static_cast<char>(kByteOfCode[p.code]);
    at += static_cast<size_t>(p.size);
  }
  return true;
}

std::optional<uint8_t> byte_of_name(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  const int high = hex_digit(text[3]), low = hex_digit(text[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<uint8_t>(high * 16 + low);
}

void VocabularyTokenizer::set_token(int32_t id, std::string_view text, Kind kind, bool special) {
  CHECK(id >= 0 && id < kMaxTokenId);
  if (static_cast<size_t>(id) >= tokens_.size()) tokens_.resize(static_cast<size_t>(id) + 1);
  Token& token = tokens_[static_cast<size_t>(id)];
  if (token.kind != Kind::kMissing && text_of(token) != text)
    throw DataError(cat("id ", id, " is both \"", text_of(token), "\" and \"", text, "\""));
  if (token.kind == Kind::kMissing) {
    token.offset = texts_.size();
    token.size = static_cast<uint32_t>(text.size());
    texts_ += text;
  }
  token.kind = kind;
  token.special = special;
}

void VocabularyTokenizer::add_token(const AddedToken& token) {
  if (const auto known = added_ids_.find(token.text); known != added_ids_.end()) {
    if (known->second != token.id)
      throw DataError(
          cat("added token \"", token.text, "\" has the ids ", known->second, " and ", token.id));
    return;
  }
  set_token(token.id, token.text, Kind::kAdded, token.special);
  added_ids_.emplace(token.text, token.id);
  added_.push_back(token);
}

void VocabularyTokenizer::append_token_bytes(int32_t id, std::string& out) const {
  CHECK(id >= 0);
  if (!has_token(id)) return;  // ids that pad a vocabulary to a round size
  const Token& token = tokens_[static_cast<size_t>(id)];
  const std::string_view text = text_of(token);
  switch (token.kind) {
    case Kind::kMissing:
      return;
    case Kind::kAdded: {
      const auto other = decoded_.find(id);
      out += other == decoded_.end() ? text : std::string_view(other->second);
      return;
    }
    case Kind::kByte:
      out += static_cast<char>(*byte_of_name(text));
      return;
    case Kind::kNormal:
      break;
  }
  if (spelling_ == Spelling::kSpaceMark) return append_unmarked(out, text);
  if (!append_bytes_of_spelling(out, text)) out += text;
}

std::string VocabularyTokenizer::decode(const int32_t* ids, size_t count, bool skip_special) const {
  std::string out;
  for (size_t i = 0; i < count; ++i)
    if (!skip_special || !is_special(ids[i])) append_token_bytes(ids[i], out);
  if (strips_first_space_ && out.starts_with(' ')) out.erase(0, 1);
  return out;
}

std::string VocabularyTokenizer::token_text(int32_t id) const {
  return has_token(id) ? std::string(text_of(tokens_[static_cast<size_t>(id)])) : std::string();
}

std::optional<int32_t> VocabularyTokenizer::token_id(std::string_view text) const {
  if (const auto known = added_ids_.find(std::string(text)); known != added_ids_.end())
    return known->second;
  const int32_t id = model_token_id(text);
  return id < 0 ? std::nullopt : std::optional(id);
}

bool VocabularyTokenizer::is_special(int32_t id) const {
  return has_token(id) && tokens_[static_cast<size_t>(id)].special;
}

void VocabularyTokenizer::take_config(const TokenizerConfig& config) {
  // Tokens named special are found in text as such, like those of the list.
  for (const std::string& text : config.special)
    if (const int32_t id = model_token_id(text); id >= 0 && !added_ids_.contains(text))
      add_token({.text = text, .id = id, .special = true});
  std::sort(added_.begin(), added_.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  const auto choose = [&](std::optional<int32_t>& target, const std::optional<std::string>& text,
                          std::optional<int32_t> id) {
    if (text)
      target = token_id(*text);
    else if (!target && id && has_token(*id))
      target = id;
  };
  choose(bos, config.bos, config.bos_id);
  choose(eos, config.eos, config.eos_id);
  choose(pad, config.pad, config.pad_id);
  choose(unk, config.unk, std::nullopt);
  if (config.add_bos || config.add_eos) {
    add_bos = config.add_bos.value_or(add_bos) && bos;
    add_eos = config.add_eos.value_or(add_eos) && eos;
  }
  chat_template = config.chat_template;
  tool_chat_template = config.tool_chat_template;
}

std::string VocabularyTokenizer::rules_text() const {
  std::string text;
  for (const AddedToken& a : added_)
    text += cat("added ", a.id, " ", a.special ? 's' : '-', a.lstrip ? 'l' : '-',
                a.rstrip ? 'r' : '-', a.single_word ? 'w' : '-', a.normalized ? 'n' : '-', " ",
                a.text.size(), " ", a.text, "\n");
  return text + cat("bos ", add_bos ? *bos : -1, " eos ", add_eos ? *eos : -1, "\n");
}

}  // namespace nibble
