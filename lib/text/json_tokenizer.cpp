// SPDX-License-Identifier: Apache-2.0
#include "text/json_tokenizer.h"

#include <simdjson.h>

#include <algorithm>

#include "text/json_members.h"
#include "text/sha256.h"
#include "text/space_mark.h"
#include "text/unicode.h"
#include "text/word_cache.h"

namespace nibble {

using json_tokenizer::check_members;
using json_tokenizer::member;

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

int32_t JsonTokenizer::model_token_id(std::string_view text) const {
  if (spelling_ == Spelling::kSpaceMark) return bpe_.words.find(text);
  thread_local std::string bytes;
  bytes.clear();
  return append_bytes_of_spelling(bytes, text) ? bpe_.words.find(bytes) : unspelled_.find(text);
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
