// SPDX-License-Identifier: Apache-2.0
#include "score/java_text.h"

#include <utf8proc.h>

#include "text/unicode.h"

namespace nibble::java {
namespace {

constexpr char32_t kSigma = 0x3A3, kFinalSigma = 0x3C2, kDottedI = 0x130;

bool is_high(char16_t unit) {
  return (unit & 0xFC00) == 0xD800;
}
bool is_low(char16_t unit) {
  return (unit & 0xFC00) == 0xDC00;
}

// The code point at `at`, which moves behind it.
char32_t take(std::u16string_view text, size_t& at) {
  const char16_t unit = text[at++];
  if (!is_high(unit) || at >= text.size() || !is_low(text[at])) return unit;
  return 0x10000 + ((unit & 0x3FFu) << 10) + (text[at++] & 0x3FFu);
}

void put(std::u16string& out, char32_t code) {
  if (code > 0xFFFF) {
    out += static_cast<char16_t>(0xD7C0 + (code >> 10));
    out += static_cast<char16_t>(0xDC00 | (code & 0x3FF));
  } else {
    out += static_cast<char16_t>(code);
  }
}

utf8proc_category_t category(char32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

bool is_cased(char32_t code) {
  const utf8proc_category_t c = category(code);
  const auto among = [code](char32_t first, char32_t last) {
    return code >= first && code <= last;
  };
  return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LT) || among(0x2B0, 0x2B8) ||
         among(0x2C0, 0x2C1) || among(0x2E0, 0x2E4) || code == 0x345 || code == 0x37A ||
         among(0x1D2C, 0x1D61) || among(0x2160, 0x217F) || among(0x24B6, 0x24E9);
}

// A character's part in a word, after the rules of Java's BreakIterator.
enum class Part : uint8_t { kLetter, kDigit, kIgnored, kOther };

Part part_of(char32_t code) {
  const utf8proc_category_t c = category(code);
  if (c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_ME || c == UTF8PROC_CATEGORY_CF)
    return Part::kIgnored;
  if (c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO) return Part::kDigit;
  // Kana and ideographs are words of their own.
  const bool east_asian = code == 0x3005 || (code >= 0x3041 && code <= 0x30FE) ||
                          (code >= 0x4E00 && code <= 0x9FA5) || (code >= 0xF900 && code <= 0xFA2D);
  const bool letter =
      (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) || c == UTF8PROC_CATEGORY_MC;
  return letter && !east_asian ? Part::kLetter : Part::kOther;
}

// The part of the last character before `at` that counts.
Part part_before(std::u16string_view text, size_t at) {
  while (at-- > 0)
    if (const Part p = part_of(text[at]); p != Part::kIgnored) return p;
  return Part::kOther;
}

// Whether the unit at `at` is within a word: punctuation is, between two letters or two digits.
bool in_word(std::u16string_view text, size_t at) {
  if (part_of(text[at]) != Part::kOther) return true;
  const char16_t unit = text[at];
  const utf8proc_category_t c = category(unit);
  const bool between_letters = c == UTF8PROC_CATEGORY_PD || c == UTF8PROC_CATEGORY_PC ||
                               unit == 0x2027 || unit == '"' || unit == '\'' || unit == '.';
  const bool between_digits =
      unit == '"' || unit == '\'' || unit == ',' || unit == 0x66B || unit == '.';
  const Part before = part_before(text, at);
  if (before == Part::kOther || at + 1 >= text.size() || before != part_of(text[at + 1]))
    return false;
  return (between_letters && before == Part::kLetter) || (between_digits && before == Part::kDigit);
}

// Whether sigma at `at` ends a word: a letter before it, none after.
bool is_final(std::u16string_view text, size_t at) {
  bool before = false;
  for (size_t i = at; i-- > 0 && !before && in_word(text, i);) before = is_cased(text[i]);
  if (!before) return false;
  for (size_t i = at + 1; i < text.size() && in_word(text, i); ++i)
    if (is_cased(text[i])) return false;
  return true;
}

}  // namespace

void append_utf16(std::u16string& out, std::string_view utf8) {
  if (!is_utf8(utf8)) {
    const std::string repaired = lossy_utf8(utf8);
    append_utf16(out, repaired);
    return;
  }
  for (size_t at = 0; at < utf8.size();) {
    const auto byte = static_cast<unsigned char>(utf8[at]);
    if (byte < 0x80) {
      out += static_cast<char16_t>(byte);
      ++at;
      continue;
    }
    const CodePoint p = read_utf8(utf8, at);
    put(out, p.code);
    at += static_cast<size_t>(p.size);
  }
}

void append_utf8(std::string& out, std::u16string_view utf16) {
  for (size_t at = 0; at < utf16.size();) {
    const char32_t code = take(utf16, at);
    if (code < 0x80)
      out += static_cast<char>(code);
    else if (code >= 0xD800 && code <= 0xDFFF)
      out += '?';
    else
      nibble::append_utf8(out, code);
  }
}

std::u16string lower(std::u16string_view text) {
  std::u16string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    const char32_t code = take(text, at);
    if (code < 0x80)
      out += static_cast<char16_t>(code >= 'A' && code <= 'Z' ? code | 0x20 : code);
    else if (code == kSigma && is_final(text, start))
      out += static_cast<char16_t>(kFinalSigma);
    else if (code == kDottedI)
      out += u"i\u0307";
    else
      put(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code))));
  }
  return out;
}

int32_t hash(std::u16string_view text) {
  uint32_t h = 0;
  for (const char16_t unit : text) h = 31 * h + unit;
  return static_cast<int32_t>(h);
}

}  // namespace nibble::java
