// SPDX-License-Identifier: Apache-2.0
// Words and characters of a text in UTF-8, as many bytes at a time as a vector holds. Words stand
// between white space of ASCII: the bytes 9 to 13 and 28 to 32. A character is a byte that does not
// continue one (10xxxxxx).
#pragma once

#include <cstdint>
#include <string_view>

namespace nibble {

struct TextLengths {
  int64_t words = 0, characters = 0;
  bool other_space = false;  // a byte begins a character that may be other white space of Unicode:
                             // 0xC2 or 0xE1 to 0xE3
};

/// By the calling thread alone.
TextLengths count_text(std::string_view text);

bool is_ascii(std::string_view text);

}  // namespace nibble
