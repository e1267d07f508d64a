// SPDX-License-Identifier: Apache-2.0
// The expressions inside a Jinja template's tags: read into tokens and spelled in one way.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nibble::jinja {

struct Token {
  bool literal = false;  // a string, unescaped
  std::string text;
  bool is(std::string_view symbol) const { return !literal && text == symbol; }
};
using Tokens = std::vector<Token>;

/// Reads the token at `at`, which is no white space, and moves past it. Throws DataError where a
/// string is not closed.
Token read_token(std::string_view source, size_t& at);

/// a.b as a["b"], and "a" + "b" as "ab" where that is the same.
Tokens normalized(const Tokens& tokens);

/// The expression as text, with spaces only where words would run together.
std::string spelled(const Tokens& tokens);

/// A string between quotes.
std::string quoted(std::string_view text);

inline bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

}  // namespace nibble::jinja
