// SPDX-License-Identifier: Apache-2.0
// The "model" of tokenizer.json: BPE's vocabulary and merges.
#include "text/json_members.h"
#include "text/json_tokenizer.h"
#include "text/space_mark.h"

namespace nibble {

using json_tokenizer::check_members;
using json_tokenizer::flag;
using json_tokenizer::member;

void JsonTokenizer::read_model(const Json& model) {
  const Json& type = member(model, "type");
  if (!type.is_null() && type.as_string() != "BPE")
    throw UnavailableError(cat("tokenizer model \"", type.as_string(), "\" is not supported"));
  check_members(model,
                {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                 "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"},
                "tokenizer model");
  if (const Json& dropout = member(model, "dropout");
      !dropout.is_null() && dropout.as_number() != 0)
    throw UnavailableError("BPE dropout is not supported");
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const Json& affix = member(model, name); !affix.is_null() && !affix.as_string().empty())
      throw UnavailableError(cat("\"", name, "\" is not supported"));

  const bool bytes = pre_tokenizer_.byte_level();
  spelling_ = bytes ? Spelling::kByteLevel : Spelling::kSpaceMark;
  bpe_.symbols = bytes ? Bpe::Symbols::kBytes : Bpe::Symbols::kCharacters;
  bpe_.byte_fallback = flag(model, "byte_fallback");
  bpe_.fuse_unk = flag(model, "fuse_unk");
  bpe_.ignore_merges = flag(model, "ignore_merges");
  if (bytes && bpe_.byte_fallback)
    throw UnavailableError("byte_fallback with the ByteLevel pre-tokenizer is not supported");
  read_vocabulary(model.at("vocab"));
  read_merges(model.at("merges"));
  bpe_.cuts_at_spaces = cuts_at_spaces();

  if (const Json& token = member(model, "unk_token"); !token.is_null()) {
    bpe_.unk = model_token_id(token.as_string());
    // Bytes that are no token vanish where there is no unknown token, here as there.
    if (bpe_.unk < 0) {
      const bool needed = !bytes && !bpe_.byte_fallback;
      if (needed) throw DataError(cat("unk_token \"", token.as_string(), "\" is no token"));
    } else {
      unk = bpe_.unk;
    }
  }
  merge_rules_ += cat("fallback ", int{bpe_.byte_fallback}, " fuse ", int{bpe_.fuse_unk},
                      " ignore ", int{bpe_.ignore_merges}, " unk ", bpe_.unk, "\n");
}

void JsonTokenizer::read_vocabulary(const Json& vocabulary) {
  const Json::Object& entries = vocabulary.as_object();
  bpe_.words.reserve(entries.size());
  unspelled_.reserve(entries.size());
  std::string bytes;
  for (const auto& [text, value] : entries) {
    const int64_t id = value.as_integer();
    if (id < 0 || id >= kMaxTokenId) throw DataError(cat("token \"", text, "\" has the id ", id));
    if (has_token(static_cast<int32_t>(id)))
      throw DataError(cat("tokens \"", token_text(static_cast<int32_t>(id)), "\" and \"", text,
                          "\" have the same id ", id));
    const auto id32 = static_cast<int32_t>(id);
    bool fresh = true;
    const auto byte = byte_of_name(text);
    if (spelling_ == Spelling::kByteLevel) {
      bytes.clear();
      const bool spells = append_bytes_of_spelling(bytes, text);
      fresh = spells ? bpe_.words.insert(bytes, id32) : unspelled_.insert(text, id32);
      if (bytes.size() == 1) bpe_.byte_ids[static_cast<unsigned char>(bytes[0])] = id32;
      set_token(id32, text, Kind::kNormal, false);
    } else {
      fresh = bpe_.words.insert(text, id32);
      if (byte) bpe_.byte_ids[*byte] = id32;
      set_token(id32, text, byte ? Kind::kByte : Kind::kNormal, false);
    }
    if (!fresh) throw DataError(cat("token \"", text, "\" is there twice"));
  }
  for (int32_t id = 0; id < vocab_size(); ++id)
    if (has_token(id)) {
      const std::string text = token_text(id);
      merge_rules_ += cat(id, " ", text.size(), " ", text, "\n");
    }
}

void JsonTokenizer::read_merges(const Json& merges) {
  const Json::Array& list = merges.as_array();
  bpe_.merges.reserve(list.size());
  for (size_t rank = 0; rank < list.size(); ++rank) {
    std::string_view left, right;
    if (list[rank].is_string()) {
      const std::string_view pair = list[rank].as_string();
      const size_t space = pair.find(' ');
      if (space == std::string_view::npos || pair.find(' ', space + 1) != std::string_view::npos)
        throw DataError(cat("merge ", rank, " (\"", pair, "\") is not two tokens"));
      left = pair.substr(0, space);
      right = pair.substr(space + 1);
    } else {
      const Json::Array& pair = list[rank].as_array();
      if (pair.size() != 2) throw DataError(cat("merge ", rank, " is not two tokens"));
      left = pair[0].as_string();
      right = pair[1].as_string();
    }
    const std::string joined = cat(left, right);
    const auto id_of = [&](std::string_view text) {
      const int32_t id = model_token_id(text);
      if (id < 0) throw DataError(cat("merge ", rank, ": \"", text, "\" is no token"));
      return id;
    };
    const int32_t l = id_of(left), r = id_of(right), id = id_of(joined);
    bpe_.merges.insert(l, r, {static_cast<uint32_t>(rank), id});
    merge_rules_ += cat(l, " ", r, "\n");
    joins_over_spaces_ |= joins_over_space(joined);
  }
}

bool JsonTokenizer::cuts_at_spaces() const {
  return spelling_ == Spelling::kSpaceMark && !joins_over_spaces_ && !bpe_.ignore_merges &&
         bpe_.words.find(kSpaceMark) >= 0;
}

}  // namespace nibble
