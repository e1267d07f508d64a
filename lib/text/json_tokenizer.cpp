// SPDX-License-Identifier: Apache-2.0
#include "text/json_tokenizer.h"

#include <simdjson.h>

#include <algorithm>

#include "text/sha256.h"
#include "text/space_mark.h"
#include "text/unicode.h"
#include "text/word_cache.h"

namespace nibble {
namespace {

const Json& member(const Json& document, std::string_view name) {
  static const Json null;
  const Json* value = document.find(name);
  return value == nullptr ? null : *value;
}

bool flag(const Json& document, std::string_view name) {
  const Json& value = member(document, name);
  return !value.is_null() && value.as_bool();
}

// Members that are not known might change ids.
void check_members(const Json& object, std::initializer_list<std::string_view> known,
                   std::string_view what) {
  for (const auto& [name, value] : object.as_object())
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw UnavailableError(cat(what, " member \"", name, "\" is not supported"));
}

}  // namespace

JsonTokenizer::JsonTokenizer(const Json& document, const TokenizerConfig& config)
    : normalizer_(member(document, "normalizer")),
      pre_tokenizer_(member(document, "pre_tokenizer")) {
  check_members(document,
                {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                 "post_processor", "decoder", "model"},
                "tokenizer");
  read_model(document.at("model"));
  read_added(document, config);
  read_decoder(member(document, "decoder"));
  read_post_processor(member(document, "post_processor"));
  const std::optional<int32_t> rule_bos = bos, rule_eos = eos;
  take_config(config);
  const bool other_bos = add_bos && !config.add_bos && rule_bos != bos;
  const bool other_eos = add_eos && !config.add_eos && rule_eos != eos;
  if (other_bos || other_eos)
    throw UnavailableError(
        "a post_processor that adds other tokens than bos and eos is not supported");
  if (add_bos && !bos) throw DataError("the rule adds bos, but no token is bos");

  std::vector<AddedToken> raw, normalized;
  for (const AddedToken& a : added_) (a.normalized ? normalized : raw).push_back(a);
  std::string buffer;
  for (AddedToken& a : normalized) {
    a.text = normalizer_.apply(TextPlace::kStart, a.text, buffer);
    std::string shown;
    append_unmarked(shown, a.text);
    set_decoded(a.id, spelling_ == Spelling::kSpaceMark ? shown : a.text);
  }
  raw_ = AddedTokenFinder(std::move(raw));
  normalized_ = AddedTokenFinder(std::move(normalized));

  fingerprint =
      sha256_hex(cat("tokenizer.json\n", member(document, "normalizer").dump(), "\n",
                     member(document, "pre_tokenizer").dump(), "\n", merge_rules_, rules_text()));
  merge_rules_ = {};
}

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
      const auto bytes = bytes_of_spelling(text);
      fresh = bytes ? bpe_.words.insert(*bytes, id32) : unspelled_.insert(text, id32);
      if (bytes && bytes->size() == 1)
        bpe_.byte_ids[static_cast<unsigned char>((*bytes)[0])] = id32;
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

int32_t JsonTokenizer::model_token_id(std::string_view text) const {
  if (spelling_ == Spelling::kSpaceMark) return bpe_.words.find(text);
  const auto bytes = bytes_of_spelling(text);
  return bytes ? bpe_.words.find(*bytes) : unspelled_.find(text);
}

// Ids are as declared; where Hugging Face's reader would number a token otherwise, the file is not
// what it says.
void JsonTokenizer::read_added(const Json& document, const TokenizerConfig& config) {
  const Json& list = member(document, "added_tokens");
  std::vector<AddedToken> all;
  if (!list.is_null())
    for (const Json& entry : list.as_array())
      all.push_back(parse_added_token(entry, entry.at("id").as_integer()));
  for (const AddedToken& a : config.added) {
    const bool known =
        std::any_of(all.begin(), all.end(), [&](const AddedToken& b) { return a.text == b.text; });
    if (!known) all.push_back(a);
  }
  for (const AddedToken& a : all) {
    if (const int32_t id = model_token_id(a.text); id >= 0 && id != a.id)
      throw DataError(cat("added token \"", a.text, "\" has the id ", a.id, ", but ", id,
                          " in the vocabulary"));
    add_token(a);
  }
}

void JsonTokenizer::read_decoder(const Json& spec) {
  if (spec.is_null()) return;
  const auto refuse = [](const std::string& type) {
    throw UnavailableError(cat("decoder \"", type, "\" is not supported"));
  };
  const auto read = [&](const Json& step) {
    const std::string& type = step.at("type").as_string();
    if (type == "ByteLevel") {
      if (spelling_ != Spelling::kByteLevel) refuse(type);
    } else if (type == "Metaspace") {
      const Json& scheme = member(step, "prepend_scheme");
      strips_first_space_ = scheme.is_null() ? member(step, "add_prefix_space").is_null() ||
                                                   flag(step, "add_prefix_space")
                                             : scheme.as_string() != "never";
    } else if (type == "Replace") {
      const Json& text = member(step.at("pattern"), "String");
      if (text.is_null() || text.as_string() != kSpaceMark || step.at("content").as_string() != " ")
        refuse(type);
    } else if (type == "Strip") {
      if (step.at("content").as_string() != " " || step.at("stop").as_integer() != 0 ||
          step.at("start").as_integer() > 1)
        refuse(type);
      strips_first_space_ = step.at("start").as_integer() == 1;
    } else if (type != "ByteFallback" && type != "Fuse") {
      refuse(type);
    }
  };
  if (spec.at("type").as_string() == "Sequence")
    for (const Json& step : spec.at("decoders").as_array()) read(step);
  else
    read(spec);
}

void JsonTokenizer::read_post_processor(const Json& spec) {
  if (spec.is_null()) return;
  const std::string& type = spec.at("type").as_string();
  const auto use = [&](bool at_start, int64_t id) {
    if (id < 0 || !has_token(static_cast<int32_t>(std::min(id, kMaxTokenId))))
      throw DataError(cat("post_processor adds the id ", id, ", which is no token"));
    (at_start ? add_bos : add_eos) = true;
    (at_start ? bos : eos) = static_cast<int32_t>(id);
  };
  if (type == "Sequence") {
    for (const Json& step : spec.at("processors").as_array()) read_post_processor(step);
  } else if (type == "RobertaProcessing" || type == "BertProcessing") {
    for (const char* name : {"cls", "sep"}) {
      const Json::Array& pair = spec.at(name).as_array();  // text and id
      if (pair.size() != 2) throw DataError(cat("\"", name, "\" is no pair"));
      use(name[0] == 'c', pair[1].as_integer());
    }
  } else if (type == "TemplateProcessing") {
    bool seen_text = false;
    int before = 0, after = 0;
    for (const Json& piece : spec.at("single").as_array()) {
      if (piece.find("Sequence") != nullptr) {
        seen_text = true;
        continue;
      }
      const std::string& name = piece.at("SpecialToken").at("id").as_string();
      const Json::Array& ids = spec.at("special_tokens").at(name).at("ids").as_array();
      if (ids.size() != 1 || ++(seen_text ? after : before) > 1)
        throw UnavailableError("a post_processor with several tokens on one side is not supported");
      use(!seen_text, ids[0].as_integer());
    }
  } else if (type != "ByteLevel") {
    throw UnavailableError(cat("post_processor \"", type, "\" is not supported"));
  }
}

TextPlace JsonTokenizer::encode_at(TextPlace place, std::string_view text, SpecialText special,
                                   std::vector<int32_t>& ids) const {
  thread_local std::string repaired, buffer;
  thread_local std::vector<Section> sections, inner;
  if (!simdjson::validate_utf8(text)) text = repaired = lossy_utf8(text);
  sections.clear();
  raw_.cut(text, special, sections);
  for (const Section& section : sections) {
    if (section.id >= 0) {
      ids.push_back(section.id);
      place = TextPlace::kAfterToken;
      continue;
    }
    const std::string_view normal = normalizer_.apply(place, section.text, buffer);
    inner.clear();
    normalized_.cut(normal, special, inner);
    for (const Section& part : inner) {
      if (part.id >= 0)
        ids.push_back(part.id);
      else
        encode_section(place, part.text, ids);
      place = part.id >= 0 ? TextPlace::kAfterToken : TextPlace::kAfterText;
    }
  }
  return place;
}

void JsonTokenizer::encode_section(TextPlace place, std::string_view text,
                                   std::vector<int32_t>& ids) const {
  thread_local Pieces pieces;
  WordCache& cache = bpe_.cache();
  pieces.set(text);
  pre_tokenizer_.apply(place, pieces);
  for (size_t i = 0; i < pieces.spans.size(); ++i) bpe_.encode(pieces[i], cache, ids);
}

}  // namespace nibble
