// SPDX-License-Identifier: Apache-2.0
#include "cli/message.h"

#include <algorithm>

namespace nibble {
namespace {

bool inside_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

// What is longer than `limit` loses its middle.
std::string shortened(std::string_view text, size_t limit, size_t head, size_t tail) {
  if (text.size() <= limit) return std::string(text);
  size_t end = head, begin = text.size() - tail;
  // Bytes that are no UTF-8 are cut anywhere.
  for (int i = 0; i < 3 && inside_character(text[end]); ++i) --end;
  for (int i = 0; i < 3 && inside_character(text[begin]); ++i) ++begin;
  return std::string(text.substr(0, end)) + "..." + std::string(text.substr(begin));
}

}  // namespace

std::string printable_line(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string words;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    words += shortened(text.substr(at, end - at), 300, 150, 100);
    if (end < text.size()) words += ' ';
    at = end + 1;
  }
  std::string out;
  for (const char c : shortened(words, 2000, 1000, 500)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f)
      out += c;
    else
      out += c == '\n' ? "\\n" : std::string("\\x") + kHex[byte >> 4] + kHex[byte & 15];
  }
  return out;
}

}  // namespace nibble
