// SPDX-License-Identifier: Apache-2.0
// SentencePiece writes a space as "▁" (U+2581), and a word with the space before it.
#pragma once

#include <string>
#include <string_view>

namespace nibble {

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

/// Whether the text has a mark right after something else. Where no token of a model has, no token
/// reaches over such a place, and text may be cut there before it is encoded.
inline bool joins_over_space(std::string_view text) {
  for (size_t at = text.find(kSpaceMark, 1); at != std::string_view::npos;
       at = text.find(kSpaceMark, at + 1))
    if (!text.substr(0, at).ends_with(kSpaceMark)) return true;
  return false;
}

/// Calls use(word) for the parts of the text between such places.
template <class Use>
void cut_at_spaces(std::string_view text, Use use) {
  size_t start = 0;
  for (size_t at = text.find(kSpaceMark, 1); at != std::string_view::npos;
       at = text.find(kSpaceMark, at + 1)) {
    if (text.substr(start, at - start).ends_with(kSpaceMark)) continue;
    use(text.substr(start, at - start));
    start = at;
  }
  if (start < text.size()) use(text.substr(start));
}

/// Appends the text with spaces as marks, or with marks as spaces.
inline void append_marked(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == ' ')
      out += kSpaceMark;
    else
      out += c;
  }
}
inline void append_unmarked(std::string& out, std::string_view text) {
  for (size_t at = 0, mark; at < text.size(); at = mark + kSpaceMark.size()) {
    mark = text.find(kSpaceMark, at);
    out += text.substr(at, mark == std::string_view::npos ? mark : mark - at);
    if (mark == std::string_view::npos) return;
    out += ' ';
  }
}

}  // namespace nibble
