// SPDX-License-Identifier: Apache-2.0
#include <utf8proc.h>

#include <array>
#include <iterator>

#include "text/jinja_utf8.h"
#include "text/unicode.h"

namespace nibble::jinja::utf8 {
namespace {

// Letters of which the upper or title case is several (Unicode's SpecialCasing.txt), but for the
// Greek ones with iota subscript.
struct Special {
  char32_t code;
  std::string_view upper, title;
};
constexpr Special kSpecial[] = {
    {0xDF, "SS", "Ss"},
    {0x149, "\u02BCN", "\u02BCN"},
    {0x1F0, "J\u030C", "J\u030C"},
    {0x390, "\u0399\u0308\u0301", "\u0399\u0308\u0301"},
    {0x3B0, "\u03A5\u0308\u0301", "\u03A5\u0308\u0301"},
    {0x587, "\u0535\u0552", "\u0535\u0582"},
    {0x1E96, "H\u0331", "H\u0331"},
    {0x1E97, "T\u0308", "T\u0308"},
    {0x1E98, "W\u030A", "W\u030A"},
    {0x1E99, "Y\u030A", "Y\u030A"},
    {0x1E9A, "A\u02BE", "A\u02BE"},
    {0x1F50, "\u03A5\u0313", "\u03A5\u0313"},
    {0xFB00, "FF", "Ff"},
    {0xFB01, "FI", "Fi"},
    {0xFB02, "FL", "Fl"},
    {0xFB03, "FFI", "Ffi"},
    {0xFB04, "FFL", "Ffl"},
    {0xFB05, "ST", "St"},
    {0xFB06, "ST", "St"},
};
constexpr char32_t kCapitalSigma = 0x3A3, kFinalSigma = 0x3C2, kDottedI = 0x130;
// Of Latin-1: all below the first capital, and small letters to its end, stay as they are.
constexpr char32_t kFirstCapital = 0xC0, kFirstSmall = 0xDF, kPastLatin1 = 0x100;

const Special* special(char32_t code) {
  for (const Special& s : kSpecial)
    if (s.code == code) return &s;
  return nullptr;
}

utf8proc_category_t category(char32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

// Unicode's Cased, but for modifier letters, which are ignored before it is asked.
bool is_cased(char32_t code) {
  const auto within = [&](char32_t first, char32_t last) { return code >= first && code <= last; };
  return is_lower(code) || is_upper(code) || category(code) == UTF8PROC_CATEGORY_LT ||
         within(0x2160, 0x217F) || within(0x24B6, 0x24E9) || within(0x1F130, 0x1F149) ||
         within(0x1F150, 0x1F169) || within(0x1F170, 0x1F189);
}

// Unicode's Case_Ignorable: marks, formats, modifiers, and what may stand within a word (Word_Break
// MidLetter, MidNumLet and Single_Quote).
bool is_case_ignorable(char32_t code) {
  constexpr std::u32string_view kWithinWords =
      U"'.:\u00B7\u0387\u055F\u05F4\u2018\u2019\u2024\u2027\uFE13\uFE52\uFE55\uFF07\uFF0E\uFF1A";
  switch (category(code)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return kWithinWords.find(code) != kWithinWords.npos;
  }
}

// Whether a letter stands before `at` and none after it, what is ignorable aside: where sigma takes
// its final form.
bool ends_word(std::string_view text, size_t at) {
  bool before = false;
  for (size_t i = at; i > 0;) {
    do --i;
    while (i > 0 && (static_cast<unsigned char>(text[i]) & 0xC0u) == 0x80);
    const char32_t code = read_utf8(text, i).code;
    if (is_case_ignorable(code)) continue;
    before = is_cased(code);
    break;
  }
  if (!before) return false;
  for (size_t i = at + size_at(text, at); i < text.size();) {
    const CodePoint p = read_utf8(text, i);
    if (!is_case_ignorable(p.code)) return !is_cased(p.code);
    i += static_cast<size_t>(p.size);
  }
  return true;
}

}  // namespace

std::string upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c < 0x80) {
      out += static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
      ++at;
      continue;
    }
    const CodePoint p = read_utf8(text, at);
    if (const Special* s = special(p.code))
      out += s->upper;
    else
      append_utf8(out,
                  static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(p.code))));
    at += static_cast<size_t>(p.size);
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c < 0x80) {
      out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
      ++at;
      continue;
    }
    const CodePoint p = read_utf8(text, at);
    if (p.code < kFirstCapital || (p.code >= kFirstSmall && p.code < kPastLatin1))
      out.append(text, at, static_cast<size_t>(p.size));
    else if (p.code == kDottedI)
      out += "i\xCC\x87";
    else if (p.code == kCapitalSigma && ends_word(text, at))
      append_utf8(out, kFinalSigma);
    else
      append_utf8(out,
                  static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(p.code))));
    at += static_cast<size_t>(p.size);
  }
  return out;
}

std::string title(char32_t code) {
  if (const Special* s = special(code)) return std::string(s->title);
  std::string out;
  append_utf8(out, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(code))));
  return out;
}

bool is_lower(char32_t code) {
  return category(code) == UTF8PROC_CATEGORY_LL || code == 0xAA || code == 0xBA;
}
bool is_upper(char32_t code) {
  return category(code) == UTF8PROC_CATEGORY_LU;
}
bool is_alpha(char32_t code) {
  const utf8proc_category_t c = category(code);
  return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}
bool is_decimal(char32_t code) {
  return category(code) == UTF8PROC_CATEGORY_ND;
}
bool is_digit(char32_t code) {
  constexpr std::array<char32_t, 3> kSuperscripts = {0xB2, 0xB3, 0xB9};
  return is_decimal(code) ||
         std::find(kSuperscripts.begin(), kSuperscripts.end(), code) != kSuperscripts.end() ||
         (code >= 0x2070 && code <= 0x2089 && category(code) == UTF8PROC_CATEGORY_NO);
}
bool is_numeric(char32_t code) {
  const utf8proc_category_t c = category(code);
  return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}

}  // namespace nibble::jinja::utf8
