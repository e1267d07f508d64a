// SPDX-License-Identifier: Apache-2.0
#include "data/tokenize.h"

#include <span>

#include "base/error.h"

namespace nibble {
namespace {

// Appends the tokens of one side; nothing where it has no text.
void append_side(const Tokenizer& tokenizer, const TokenizeRules& rules,
                 std::span<const Segment> segments, TokenRow& row) {
  const size_t begin = row.tokens.size();
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
    row.tokens.resize(begin);
    row.trained.resize(begin);
    return;
  }
  if (rules.bos && row.tokens[before] == tokenizer.bos) {  // the text had its own
    const auto second = static_cast<std::ptrdiff_t>(before);
    row.tokens.erase(row.tokens.begin() + second);
    row.trained.erase(row.trained.begin() + second);
  }
  if (rules.eos) {
    CHECK(tokenizer.eos);
    if (row.tokens.back() == tokenizer.eos) return;
    row.tokens.push_back(*tokenizer.eos);
    row.trained.push_back(trained);
  }
}

void detokenize_side(const Tokenizer& tokenizer, const TokenizeRules& rules, const TokenRow& row,
                     size_t at, size_t end, std::vector<Segment>& segments) {
  segments.clear();
  if (rules.bos && at < end && row.tokens[at] == tokenizer.bos) ++at;
  while (at < end) {
    size_t next = at + 1;
    while (next < end && row.trained[next] == row.trained[at]) ++next;
    Segment segment{row.trained[at] != 0, {}};
    if (segments.empty())
      segment.text = tokenizer.decode(row.tokens.data() + at, next - at, false);
    else
      for (size_t i = at; i < next; ++i) tokenizer.append_token_bytes(row.tokens[i], segment.text);
    segments.push_back(std::move(segment));
    at = next;
  }
}

}  // namespace

void tokenize_example(const Tokenizer& tokenizer, const TokenizeRules& rules,
                      const SegmentedExample& example, TokenRow& row) {
  row.clear();
  append_side(tokenizer, rules, example.segments, row);
  row.kind = example.kind();
  row.desirable = example.desirable.value_or(false);
  if (row.kind != ExampleKind::kPair) return;
  row.rejected = static_cast<int32_t>(row.tokens.size());
  append_side(tokenizer, rules, example.rejected, row);
  if (row.rejected == 0 || row.tokens.size() == static_cast<size_t>(row.rejected))
    throw DataError("a preference pair with an empty side");
}

void detokenize(const Tokenizer& tokenizer, const TokenizeRules& rules, const TokenRow& row,
                SegmentedExample& example) {
  const bool is_pair = row.kind == ExampleKind::kPair;
  const size_t cut = is_pair ? static_cast<size_t>(row.rejected) : row.tokens.size();
  example.rejected.clear();
  example.desirable.reset();
  detokenize_side(tokenizer, rules, row, 0, cut, example.segments);
  if (is_pair) detokenize_side(tokenizer, rules, row, cut, row.tokens.size(), example.rejected);
  if (row.kind == ExampleKind::kRated) example.desirable = row.desirable;
}

}  // namespace nibble
