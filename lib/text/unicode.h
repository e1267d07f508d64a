// SPDX-License-Identifier: Apache-2.0
// UTF-8: reading and writing code points, and the white space that Python and Rust mean.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nibble {

/// A code point and the bytes it takes. Where the bytes at `at` are not valid UTF-8 (overlong,
/// surrogate, beyond U+10FFFF, cut off), code is kInvalidCode and size 1.
struct CodePoint {
  char32_t code = 0;
  int size = 1;
};
inline constexpr char32_t kInvalidCode = 0xFFFFFFFF;
CodePoint read_utf8(std::string_view text, size_t at);

void append_utf8(std::string& out, char32_t code);

/// Whether all of it is valid.
bool is_utf8(std::string_view text);

/// What a reader that replaces errors makes of the bytes: each maximal part that is no UTF-8
/// becomes U+FFFD (the practice that Unicode recommends, and Python's and Rust's).
std::string lossy_utf8(std::string_view text);

/// Python's str.isspace and Rust's char::is_whitespace; they differ in U+001C to U+001F.
bool is_python_space(char32_t code);
bool is_rust_space(char32_t code);

/// Without white space at both ends, as Python's str.strip and Jinja's trim.
std::string_view python_strip(std::string_view text);

}  // namespace nibble
