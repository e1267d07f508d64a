// SPDX-License-Identifier: Apache-2.0
// Texts by character, as Python counts them; and the case of letters.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace nibble::jinja::utf8 {

/// Bytes of the character at `at`.
inline size_t size_at(std::string_view text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80) ++end;
  return end - at;
}

inline size_t length(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0u) != 0x80;
  }));
}

/// The byte where character `index` begins; the text's end where it has no more.
inline size_t offset(std::string_view text, size_t index) {
  size_t at = 0;
  while (index > 0 && at < text.size()) {
    at += size_at(text, at);
    --index;
  }
  return at;
}

inline std::string_view slice(std::string_view text, size_t start, size_t count) {
  text.remove_prefix(offset(text, start));
  return text.substr(0, offset(text, count));
}

/// As Python's str methods: special mappings (one letter to several) included.
std::string upper(std::string_view text);
std::string lower(std::string_view text);
/// Of one character: its title case, and whether it is a letter that has a case, of which sort.
std::string title(char32_t code);
bool is_lower(char32_t code);
bool is_upper(char32_t code);
bool is_alpha(char32_t code);
bool is_decimal(char32_t code);
bool is_digit(char32_t code);
bool is_numeric(char32_t code);

}  // namespace nibble::jinja::utf8
