// SPDX-License-Identifier: Apache-2.0
#include "score/bleu_tokenizers.h"

#include <utf8proc.h>

#include <array>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/unicode.h"

namespace nibble {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_stop(char c) {
  return c == '.' || c == ',';
}

// ASCII's punctuation but for ' , - and .
constexpr auto kSplit13a = [] {
  std::array<bool, 256> split{};
  for (const char c : std::string_view("!\"#$%&()*+/:;<=>?@[\\]^_`{|}~"))
    split[static_cast<unsigned char>(c)] = true;
  return split;
}();

// Rewrites `text`, in which each pair of characters that fits, none being part of two pairs, gets
// spaces before, between and after as `left`, `middle` and `right` say.
template <class Fits>
void space_pairs(std::string& text, std::string& spare, Fits fits, bool left, bool right) {
  spare.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    if (i + 1 >= text.size() || !fits(text[i], text[i + 1])) {
      spare += text[i];
      continue;
    }
    if (left) spare += ' ';
    spare += text[i];
    spare += ' ';
    spare += text[++i];
    if (right) spare += ' ';
  }
  text.swap(spare);
}

// What kind of character it is, as far as intl's rules see.
enum class Sort : uint8_t { kOther, kNumber, kPunctuation, kSymbol };

Sort sort_by_category(char32_t code) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return Sort::kNumber;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return Sort::kPunctuation;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
      return Sort::kSymbol;
    default:
      return Sort::kOther;
  }
}

Sort sort_of(char32_t code) {
  static const auto kAscii = [] {
    std::array<Sort, 128> sorts{};
    for (char32_t c = 0; c < 128; ++c) sorts[c] = sort_by_category(c);
    return sorts;
  }();
  return code < 128 ? kAscii[code] : sort_by_category(code);
}

struct Character {
  char32_t code = U' ';
  Sort sort = Sort::kOther;
};

template <class Fits>
void space_pairs(std::vector<Character>& text, std::vector<Character>& spare, Fits fits, bool left,
                 bool right) {
  spare.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    if (i + 1 >= text.size() || !fits(text[i].sort, text[i + 1].sort)) {
      spare.push_back(text[i]);
      continue;
    }
    if (left) spare.emplace_back();
    spare.push_back(text[i]);
    spare.emplace_back();
    spare.push_back(text[++i]);
    if (right) spare.emplace_back();
  }
  text.swap(spare);
}

}  // namespace

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  size_t at = text.find(from);
  if (at == text.npos) return;
  std::string out;
  size_t begin = 0;
  for (; at != text.npos; at = text.find(from, begin)) {
    out.append(text, begin, at - begin);
    out += to;
    begin = at + from.size();
  }
  out.append(text, begin);
  text = std::move(out);
}

void replace_entities(std::string& text) {
  if (text.find('&') == text.npos) return;
  replace_all(text, "&quot;", "\"");
  replace_all(text, "&amp;", "&");
  replace_all(text, "&lt;", "<");
  replace_all(text, "&gt;", ">");
}

void split_punctuation(std::string& text) {
  thread_local std::string spare;
  spare.clear();
  for (const char c : text) {
    const bool split = kSplit13a[static_cast<unsigned char>(c)];
    if (split) spare += ' ';
    spare += c;
    if (split) spare += ' ';
  }
  text.swap(spare);
}

void split_stops(std::string& text) {
  thread_local std::string spare;
  if (text.find_first_of(".,") != text.npos) {
    space_pairs(
        text, spare, [](char a, char b) { return !is_digit(a) && is_stop(b); }, false, true);
    space_pairs(
        text, spare, [](char a, char b) { return is_stop(a) && !is_digit(b); }, true, false);
  }
  if (text.find('-') != text.npos)
    space_pairs(
        text, spare, [](char a, char b) { return is_digit(a) && b == '-'; }, false, true);
}

void tokenize_13a(std::string_view line, std::string& out) {
  out = ' ';
  out += line;
  out += ' ';
  replace_all(out, "<skipped>", "");
  replace_all(out, "-\n", "");
  replace_all(out, "\n", " ");
  replace_entities(out);
  split_punctuation(out);
  split_stops(out);
}

void tokenize_intl(std::string_view line, std::string& out) {
  thread_local std::vector<Character> text, spare;
  text.clear();
  for (size_t at = 0; at < line.size();) {
    const CodePoint p = read_utf8(line, at);
    text.push_back({p.code, sort_of(p.code)});
    at += static_cast<size_t>(p.size);
  }
  space_pairs(
      text, spare, [](Sort a, Sort b) { return a != Sort::kNumber && b == Sort::kPunctuation; },
      false, true);
  space_pairs(
      text, spare, [](Sort a, Sort b) { return a == Sort::kPunctuation && b != Sort::kNumber; },
      true, false);
  out.clear();
  for (const Character& c : text) {
    const bool symbol = c.sort == Sort::kSymbol;
    if (symbol) out += ' ';
    append_utf8(out, c.code);
    if (symbol) out += ' ';
  }
}

void tokenize_char(std::string_view line, std::string& out) {
  out.clear();
  for (size_t at = 0; at < line.size();) {
    const auto size = static_cast<size_t>(read_utf8(line, at).size);
    out += line.substr(at, size);
    out += ' ';
    at += size;
  }
}

void tokenize_none(std::string_view line, std::string& out) {
  out = line;
}

LineTokenizer line_tokenizer(std::string_view name) {
  if (name == "13a") return tokenize_13a;
  if (name == "intl") return tokenize_intl;
  if (name == "char") return tokenize_char;
  CHECK(name == "none");
  return tokenize_none;
}

}  // namespace nibble
