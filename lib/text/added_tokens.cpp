// SPDX-License-Identifier: Apache-2.0
#include "text/added_tokens.h"

#include <algorithm>

#include "text/pattern.h"
#include "text/unicode.h"

namespace nibble {
namespace {

// \w of Rust's regex: alphabetic (letters, and circled and squared ones), marks, decimal digits,
// connecting punctuation and joiners.
constexpr std::string_view kWord =
    R"([\p{L}\p{M}\p{Nd}\p{Nl}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169})"
    R"(\x{1F170}-\x{1F189}_\x{203F}\x{2040}\x{2054}\x{FE33}\x{FE34}\x{FE4D}-\x{FE4F}\x{FF3F})"
    R"(\x{200C}\x{200D}])";

// Start of the last character before `end`.
size_t previous_start(std::string_view text, size_t end) {
  size_t at = end - 1;
  while (at > 0 && end - at < 4 && (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80) --at;
  return at;
}

bool starts_with_word(std::string_view text) {
  static const Pattern word(kWord);
  if (text.empty()) return false;
  const auto found = word.find(text.substr(0, static_cast<size_t>(read_utf8(text, 0).size)), 0);
  return found.has_value();
}
bool ends_with_word(std::string_view text) {
  return !text.empty() && starts_with_word(text.substr(previous_start(text, text.size())));
}

size_t spaces_at_start(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const CodePoint p = read_utf8(text, at);
    if (!is_rust_space(p.code)) break;
    at += static_cast<size_t>(p.size);
  }
  return at;
}
size_t start_of_spaces_at_end(std::string_view text) {
  size_t at = text.size();
  while (at > 0) {
    const size_t start = previous_start(text, at);
    if (!is_rust_space(read_utf8(text, start).code)) break;
    at = start;
  }
  return at;
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), nodes_(1) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const std::string& text = tokens_[i].text;
    if (text.empty()) continue;
    starts_[static_cast<unsigned char>(text[0])] = true;
    int32_t node = 0;
    for (const char byte : text) {
      int32_t next = child_of(node, byte);
      if (next < 0) {
        next = static_cast<int32_t>(nodes_.size());
        nodes_.push_back({byte, -1, -1, nodes_[static_cast<size_t>(node)].child});
        nodes_[static_cast<size_t>(node)].child = next;
      }
      node = next;
    }
    nodes_[static_cast<size_t>(node)].token = static_cast<int32_t>(i);
  }
}

int32_t AddedTokenFinder::child_of(int32_t node, char byte) const {
  int32_t child = nodes_[static_cast<size_t>(node)].child;
  while (child >= 0 && nodes_[static_cast<size_t>(child)].byte != byte)
    child = nodes_[static_cast<size_t>(child)].sibling;
  return child;
}

std::optional<AddedTokenFinder::Found> AddedTokenFinder::find(std::string_view text,
                                                              size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (!starts_[static_cast<unsigned char>(text[begin])]) continue;
    std::optional<Found> longest;
    int32_t node = 0;
    for (size_t at = begin; at < text.size(); ++at) {
      node = child_of(node, text[at]);
      if (node < 0) break;
      if (const int32_t i = nodes_[static_cast<size_t>(node)].token; i >= 0)
        longest = Found{begin, at + 1, &tokens_[static_cast<size_t>(i)]};
    }
    if (longest) return longest;
  }
  return std::nullopt;
}

void AddedTokenFinder::cut(std::string_view text, SpecialText special,
                           std::vector<Section>& sections) const {
  size_t done = 0;
  for (std::optional<Found> f = find(text, 0); f; f = find(text, f->end)) {
    const AddedToken& token = *f->token;
    if (special == SpecialText::kLiteral && token.special) continue;
    if (token.single_word &&
        (ends_with_word(text.substr(0, f->begin)) || starts_with_word(text.substr(f->end))))
      continue;
    size_t begin = f->begin, end = f->end;
    if (token.lstrip) begin = std::max(start_of_spaces_at_end(text.substr(0, begin)), done);
    if (token.rstrip) end += spaces_at_start(text.substr(end));
    if (done < begin) sections.push_back({text.substr(done, begin - done), -1});
    sections.push_back({text.substr(begin, end - begin), token.id});
    done = end;
  }
  if (done < text.size()) sections.push_back({text.substr(done), -1});
}

}  // namespace nibble
