// SPDX-License-Identifier: Apache-2.0
#include "base/quote.h"

#include <cstdint>

namespace nibble {
namespace {

// Bytes of the UTF-8 character that starts at text[at], 0 where there is none.
size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(at);
  const size_t length = lead < 0x80   ? 1
                        : lead < 0xc2 ? 0
                        : lead < 0xe0 ? 2
                        : lead < 0xf0 ? 3
                        : lead < 0xf5 ? 4
                                      : 0;
  if (length == 0 || length > text.size() - at) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
  return length;
}

}  // namespace

std::string quote(std::string_view text, size_t limit) {
  std::string out = "\"";
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = utf8_length(text, at);
    if (at + (length ? length : 1) > limit) {
      out += "...";
      break;
    }
    const bool printable = length > 1 || (length == 1 && text[at] >= ' ' && text[at] != 0x7f);
    if (printable)
      out += text.substr(at, length);
    else
      out += '?';
    at += length ? length : 1;
  }
  return out + "\"";
}

}  // namespace nibble
