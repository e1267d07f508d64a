// SPDX-License-Identifier: Apache-2.0
// Words and characters of texts as Python's str.split() and len() see them.
#pragma once

#include <string>
#include <string_view>

#include "kernels/text_lengths.h"
#include "text/unicode.h"

namespace nibble {

/// Whether a character of white space begins at `at`, and how many bytes it takes; 0 if not.
inline size_t space_at(std::string_view text, size_t at) {
  const auto c = static_cast<unsigned char>(text[at]);
  if (c <= ' ') return c == ' ' || (c >= 9 && c <= 13) || (c >= 28 && c <= 31) ? 1 : 0;
  if (c != 0xC2 && (c < 0xE1 || c > 0xE3)) return 0;  // no other white space begins so
  const CodePoint p = read_utf8(text, at);
  return is_python_space(p.code) ? static_cast<size_t>(p.size) : 0;
}

/// Whether there is nothing but white space.
inline bool is_blank(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t size = space_at(text, at);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

/// Calls use(word) for what stands between white space.
template <class Use>
void for_each_word(std::string_view text, Use use) {
  for (size_t at = 0; at < text.size();) {
    if (const size_t size = space_at(text, at); size > 0) {
      at += size;
      continue;
    }
    const size_t begin = at;
    while (at < text.size() && space_at(text, at) == 0) ++at;
    use(text.substr(begin, at - begin));
  }
}

/// Calls use(code) for every character of valid UTF-8.
template <class Use>
void for_each_character(std::string_view text, Use use) {
  for (size_t at = 0; at < text.size();) {
    const CodePoint p = read_utf8(text, at);
    use(p.code);
    at += static_cast<size_t>(p.size);
  }
}

/// How many words and characters valid UTF-8 has.
TextLengths text_lengths(std::string_view text);

/// Without white space at the end, as str.rstrip().
inline std::string_view strip_end(std::string_view text) {
  const std::string_view stripped = python_strip(text);
  return text.substr(0, stripped.empty()
                            ? 0
                            : static_cast<size_t>(stripped.data() - text.data()) + stripped.size());
}

}  // namespace nibble
