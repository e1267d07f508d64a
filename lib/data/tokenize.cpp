// SPDX-License-Identifier: Apache-2.0
#include "data/tokenize.h"

#include "base/error.h"
#include "data/conversation.h"
#include "data/records.h"

namespace nibble {
namespace {

Segment parse_segment(simdjson::dom::element value, size_t i) {
  const auto fail = [&](const char* fault) { throw DataError(cat("segments[", i, "] ", fault)); };
  simdjson::dom::object object;
  std::string_view text;
  Segment segment;
  if (value.get_object().get(object)) fail("is not an object");
  if (object["text"].get_string().get(text)) fail("has no \"text\"");
  if (object["label"].get_bool().get(segment.label)) fail("has no \"label\", true or false");
  segment.text = text;
  return segment;
}

}  // namespace

void parse_segments(std::string_view json, std::vector<Segment>& segments) {
  segments.clear();
  simdjson::dom::object object;
  simdjson::dom::array items;
  if (parse_record(json).get_object().get(object))
    throw DataError("expected an object with \"segments\"");
  if (object["segments"].get_array().get(items))
    throw DataError("no \"segments\"; make them of conversations with nibble-format");
  for (const auto item : items) segments.push_back(parse_segment(item, segments.size()));
}

void tokenize_segments(const Tokenizer& tokenizer, const TokenizeRules& rules,
                       std::span<const Segment> segments, TokenRow& row) {
  row.tokens.clear();
  row.trained.clear();
  if (rules.bos) {
    CHECK(tokenizer.bos);
    row.tokens.push_back(*tokenizer.bos);
    row.trained.push_back(0);
  }
  const size_t before = row.tokens.size();
  TextPlace place = TextPlace::kStart;
  bool trained = false;
  for (const Segment& s : segments) {
    place = tokenizer.encode_at(place, s.text, rules.special, row.tokens);
    row.trained.resize(row.tokens.size(), s.label);
    if (!s.text.empty()) trained = s.label;
  }
  if (row.tokens.size() == before) {
    row.tokens.clear();
    row.trained.clear();
    return;
  }
  if (rules.bos && row.tokens[1] == tokenizer.bos) {  // the text had its own
    row.tokens.erase(row.tokens.begin());
    row.trained.erase(row.trained.begin() + 1);
  }
  if (rules.eos) {
    CHECK(tokenizer.eos);
    if (row.tokens.back() == tokenizer.eos) return;
    row.tokens.push_back(*tokenizer.eos);
    row.trained.push_back(trained);
  }
}

void detokenize(const Tokenizer& tokenizer, const TokenizeRules& rules, const TokenRow& row,
                std::vector<Segment>& segments) {
  segments.clear();
  size_t at = rules.bos && !row.tokens.empty() && row.tokens[0] == tokenizer.bos ? 1 : 0;
  while (at < row.tokens.size()) {
    size_t end = at + 1;
    while (end < row.tokens.size() && row.trained[end] == row.trained[at]) ++end;
    Segment segment{row.trained[at] != 0, {}};
    if (segments.empty())
      segment.text = tokenizer.decode(row.tokens.data() + at, end - at, false);
    else
      for (size_t i = at; i < end; ++i) tokenizer.append_token_bytes(row.tokens[i], segment.text);
    segments.push_back(std::move(segment));
    at = end;
  }
}

}  // namespace nibble
