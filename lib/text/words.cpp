// SPDX-License-Identifier: Apache-2.0
#include "text/words.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "text/unicode.h"

namespace nibble {
namespace {

// The character in lower case, or 0 where it parts words.
constexpr char fold_ascii(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) return c;
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : '\0';
}

bool is_alone(char32_t c) {
  return (c >= 0x3040 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x20000 && c <= 0x323AF) ||
         (c >= 0x0E00 && c <= 0x0EFF) || (c >= 0x1000 && c <= 0x109F) ||
         (c >= 0x1780 && c <= 0x17FF);
}

bool is_mark(utf8proc_category_t category) {
  return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

bool is_word(utf8proc_category_t category) {
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
         (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) ||
         is_mark(category);
}

// Writes characters as words, a space before all but the first.
class WordWriter {
 public:
  explicit WordWriter(std::string& out) : out_(out) {}
  void part() { inside_ = false; }
  void begin() {
    if (!inside_ && !out_.empty()) out_ += ' ';
    inside_ = true;
  }

 private:
  std::string& out_;
  bool inside_ = false;
};

void append_ascii(std::string& out, std::string_view text) {
  WordWriter words(out);
  for (const char c : text) {
    if (const char folded = fold_ascii(c)) {
      words.begin();
      out += folded;
    } else {
      words.part();
    }
  }
}

void append_folded(std::string& out, std::string_view text) {
  WordWriter words(out);
  for (size_t at = 0; at < text.size();) {
    const CodePoint p = read_utf8(text, at);
    const auto category = p.code == kInvalidCode
                              ? UTF8PROC_CATEGORY_CN
                              : utf8proc_category(static_cast<utf8proc_int32_t>(p.code));
    if (!is_word(category)) {
      words.part();
    } else {
      const bool alone = is_alone(p.code) && !is_mark(category);
      if (alone) words.part();
      words.begin();
      out += text.substr(at, static_cast<size_t>(p.size));
    }
    at += static_cast<size_t>(p.size);
    // What follows a character that is a word by itself belongs to it only where it is a mark.
    if (p.code != kInvalidCode && is_alone(p.code) && at < text.size()) {
      const CodePoint next = read_utf8(text, at);
      if (next.code == kInvalidCode ||
          !is_mark(utf8proc_category(static_cast<utf8proc_int32_t>(next.code))))
        words.part();
    }
  }
}

}  // namespace

void append_words(std::string& out, std::string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; }))
    return append_ascii(out, text);
  constexpr auto kFold = static_cast<utf8proc_option_t>(
      UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
  utf8proc_uint8_t* folded = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                 static_cast<utf8proc_ssize_t>(text.size()), &folded, kFold);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(folded, &std::free);
  if (size == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
  if (size < 0) return append_folded(out, text);  // no UTF-8: as it stands
  append_folded(out, {reinterpret_cast<const char*>(folded), static_cast<size_t>(size)});
}

}  // namespace nibble
