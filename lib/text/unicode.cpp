// SPDX-License-Identifier: Apache-2.0
#include "text/unicode.h"

#include <cstring>

namespace nibble {
namespace {

unsigned byte_at(std::string_view text, size_t at) {
  return static_cast<unsigned char>(text[at]);
}

// The length of the sequence that a first byte starts, and the range its second byte may have:
// Unicode 15, table 3-7. Length 0: no sequence starts so.
struct Lead {
  int size = 0;
  unsigned low = 0x80, high = 0xBF;
};
Lead lead_of(unsigned byte) {
  if (byte < 0x80) return {1};
  if (byte < 0xC2) return {};
  if (byte < 0xE0) return {2};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {};
}

// Bytes at `at` that form the longest start of a sequence, whole or not; at least 1.
int valid_prefix(std::string_view text, size_t at, const Lead& lead) {
  int n = 1;
  while (n < lead.size && at + static_cast<size_t>(n) < text.size()) {
    const unsigned b = byte_at(text, at + static_cast<size_t>(n));
    if (n == 1 ? (b < lead.low || b > lead.high) : (b < 0x80 || b > 0xBF)) break;
    ++n;
  }
  return n;
}

}  // namespace

CodePoint read_utf8(std::string_view text, size_t at) {
  const unsigned first = byte_at(text, at);
  if (first < 0x80) return {first, 1};
  const Lead lead = lead_of(first);
  if (lead.size == 0 || valid_prefix(text, at, lead) != lead.size) return {kInvalidCode, 1};
  char32_t code = first & (0xFFu >> (lead.size + 1));
  for (int i = 1; i < lead.size; ++i)
    code = code << 6 | (byte_at(text, at + static_cast<size_t>(i)) & 0x3Fu);
  return {code, lead.size};
}

void append_utf8(std::string& out, char32_t code) {
  const auto put = [&](char32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    uint64_t eight = 0;
    if (at + sizeof eight <= text.size()) {
      std::memcpy(&eight, text.data() + at, sizeof eight);
      if ((eight & 0x8080808080808080u) == 0) {  // all ASCII
        at += sizeof eight;
        continue;
      }
    }
    const CodePoint p = read_utf8(text, at);
    if (p.code == kInvalidCode) return false;
    at += static_cast<size_t>(p.size);
  }
  return true;
}

std::string lossy_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const CodePoint p = read_utf8(text, at);
    if (p.code != kInvalidCode) {
      out.append(text, at, static_cast<size_t>(p.size));
      at += static_cast<size_t>(p.size);
    } else {
      append_utf8(out, 0xFFFD);
      at += static_cast<size_t>(valid_prefix(text, at, lead_of(byte_at(text, at))));
    }
  }
  return out;
}

bool is_rust_space(char32_t c) {
  return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_python_space(char32_t c) {
  return is_rust_space(c) || (c >= 0x1C && c <= 0x1F);
}

std::string_view python_strip(std::string_view text) {
  while (!text.empty()) {
    const CodePoint p = read_utf8(text, 0);
    if (!is_python_space(p.code)) break;
    text.remove_prefix(static_cast<size_t>(p.size));
  }
  while (!text.empty()) {
    size_t at = text.size() - 1;
    while (at > 0 && text.size() - at < 4 && (byte_at(text, at) & 0xC0u) == 0x80) --at;
    const CodePoint p = read_utf8(text, at);
    if (at + static_cast<size_t>(p.size) != text.size() || !is_python_space(p.code)) break;
    text.remove_suffix(text.size() - at);
  }
  return text;
}

}  // namespace nibble
