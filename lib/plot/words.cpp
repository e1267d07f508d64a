// SPDX-License-Identifier: Apache-2.0
#include "plot/words.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>

namespace nibble {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd", kEllipsis = "\xe2\x80\xa6";

struct Character {
  char32_t code = 0;  // U+FFFD where the bytes are none
  size_t bytes = 1;
  bool good = false;
};

// The character at text[at], by RFC 3629: no overlong forms, no surrogates.
Character character(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (length == 0 || length > text.size() - at) return {0xfffd, 1, false};
  char32_t code = lead & (0xffU >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {0xfffd, 1, false};
    code = code << 6 | (byte(i) & 0x3f);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (overlong || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff) return {0xfffd, 1, false};
  return {code, length, true};
}

using Range = std::pair<char32_t, char32_t>;

bool within(char32_t code, const Range* begin, const Range* end) {
  return std::any_of(begin, end,
                     [&](const Range& r) { return code >= r.first && code <= r.second; });
}

// Controls, soft hyphen, zero-width and direction characters, line separators, tags, and what XML
// does not allow.
bool is_invisible(char32_t code) {
  static constexpr Range kRanges[] = {{0, 0x1f},        {0x7f, 0x9f},     {0xad, 0xad},
                                      {0x61c, 0x61c},   {0x200b, 0x200f}, {0x2028, 0x202e},
                                      {0x2060, 0x206f}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff},
                                      {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0xe0fff}};
  return within(code, std::begin(kRanges), std::end(kRanges));
}

// The blocks of wide characters and emoji, and those of combining marks (Unicode's charts).
size_t columns_of(char32_t code) {
  static constexpr Range kWide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},
                                    {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},
                                    {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
                                    {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1faff},
                                    {0x20000, 0x3fffd}};
  static constexpr Range kCombining[] = {
      {0x300, 0x36f}, {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},   {0x64b, 0x65f},
      {0x93c, 0x93c}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0xfe20, 0xfe2f}};
  if (within(code, std::begin(kCombining), std::end(kCombining))) return 0;
  return within(code, std::begin(kWide), std::end(kWide)) ? 2 : 1;
}

}  // namespace

std::string clean(std::string_view text, size_t limit) {
  std::string out;
  size_t columns = 0, keep = 0;  // keep: bytes that fit with the ellipsis behind them
  for (size_t at = 0; at < text.size();) {
    const Character c = character(text, at);
    const bool fine = c.good && !is_invisible(c.code);
    columns += fine ? columns_of(c.code) : 1;
    if (columns > limit) {
      out.resize(keep);
      return limit > 0 ? out + std::string(kEllipsis) : out;
    }
    out += fine ? text.substr(at, c.bytes) : kReplacement;
    if (columns < limit) keep = out.size();
    at += c.bytes;
  }
  return out;
}

size_t width(std::string_view text) {
  size_t columns = 0;
  for (size_t at = 0; at < text.size();) {
    const Character c = character(text, at);
    columns += columns_of(c.code);
    at += c.bytes;
  }
  return columns;
}

std::string padded(std::string_view text, size_t columns, bool left) {
  const size_t have = width(text);
  const std::string space(columns > have ? columns - have : 0, ' ');
  return left ? std::string(text) + space : space + std::string(text);
}

std::string escaped(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const Character c = character(text, at);
    const std::string_view bytes = text.substr(at, c.bytes);
    at += c.bytes;
    const bool space = c.code == '\n' || c.code == '\t';
    if (!c.good || (is_invisible(c.code) && !space))
      out += kReplacement;
    else if (c.code == '&')
      out += "&amp;";
    else if (c.code == '<')
      out += "&lt;";
    else if (c.code == '>')
      out += "&gt;";
    else if (c.code == '"')
      out += "&quot;";
    else if (c.code == '\'')
      out += "&#39;";
    else
      out += bytes;
  }
  return out;
}

}  // namespace nibble
