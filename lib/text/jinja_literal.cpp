// SPDX-License-Identifier: Apache-2.0
#include <charconv>

#include "text/jinja_lexer.h"
#include "text/unicode.h"

namespace nibble::jinja {
namespace {

// The character of a number in such digits, of which there must be `size`.
void append_code(std::string& out, std::string_view digits, size_t size, int base, int line) {
  uint32_t code = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), code, base);
  const bool whole = digits.size() == size && end == digits.data() + size;
  if (error != std::errc() || !whole || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
    throw SyntaxFault{line, "a string has an escape that is no character"};
  append_utf8(out, code);
}

}  // namespace

std::string unescaped(std::string_view text, int line) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    const char c = text[++i];
    constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
    if (const size_t known = kFrom.find(c); known != std::string_view::npos) {
      out += kTo[known];
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const size_t size = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      append_code(out, text.substr(i + 1, size), size, 16, line);
      i += size;
    } else if (c >= '0' && c <= '7') {
      size_t size = 1;
      while (size < 3 && i + size < text.size() && text[i + size] >= '0' && text[i + size] <= '7')
        ++size;
      append_code(out, text.substr(i, size), size, 8, line);
      i += size - 1;
    } else if (c == 'N') {
      throw SyntaxFault{line, "characters by name (\\N{...}) are not supported"};
    } else if (c != '\n') {
      out += '\\';
      out += c;
    }
  }
  return out;
}

}  // namespace nibble::jinja
