// SPDX-License-Identifier: Apache-2.0
#include "score/meteor15_normalize.h"

#include <algorithm>
#include <vector>

#include "score/java_text.h"
#include "text/unicode.h"

namespace nibble {
namespace {

using Text = std::u32string;
using View = std::u32string_view;

bool among(char32_t c, char32_t first, char32_t last) {
  return c >= first && c <= last;
}
bool is_digit(char32_t c) {
  return among(c, '0', '9');
}
// Latin and Cyrillic letters, as METEOR counts them.
bool is_alpha(char32_t c) {
  return among(c, 'A', 'Z') || among(c, 'a', 'z') || among(c, 0xC0, 0xD6) || among(c, 0xD8, 0xF6) ||
         among(c, 0xF8, 0x17E) || among(c, 0x400, 0x527) || among(c, 0xA640, 0xA66E) ||
         among(c, 0xA67E, 0xA697) || among(c, 0x1D00, 0x1D7F);
}
bool is_alnum(char32_t c) {
  return is_alpha(c) || is_digit(c);
}
bool is_ascii_space(char32_t c) {
  return c == ' ' || among(c, '\t', '\r');
}

void replace_all(Text& text, View what, View by) {
  for (size_t at = 0; (at = text.find(what, at)) != text.npos; at += by.size())
    text.replace(at, what.size(), by);
}

// Wherever `middle` stands between two fitting characters, it becomes `by`. As a regular expression
// replaces: a character that was the right one is not the left one of the next.
void replace_between(Text& text, auto&& left, char32_t middle, auto&& right, View by) {
  if (text.find(middle) == text.npos) return;
  Text out;
  for (size_t i = 0; i < text.size();) {
    if (i + 2 < text.size() && text[i + 1] == middle && left(text[i]) && right(text[i + 2])) {
      out += text[i];
      out += by;
      out += text[i + 2];
      i += 3;
    } else {
      out += text[i++];
    }
  }
  text = std::move(out);
}

// A space before all that is no part of words and numbers.
void split_signs(Text& text) {
  Text out;
  for (const char32_t c : text) {
    constexpr View kKept = U".'`,-\u2018\u2019";
    if (!is_alnum(c) && !is_ascii_space(c) && kKept.find(c) == kKept.npos) out += U' ';
    out += c;
  }
  text = std::move(out);
}

// Runs of periods, set apart under a name until single periods are done with.
void name_ellipses(Text& text) {
  if (text.find(U"..") == text.npos && text.find(U"DOTMULTI") == text.npos) return;
  Text out;
  for (size_t i = 0; i < text.size();) {
    const size_t end = std::min(text.find_first_not_of(U'.', i), text.size());
    if (end < i + 2) {
      out += text[i++];
      continue;
    }
    out += U" DOTMULTI";
    out.append(end - i - 1, U'.');
    i = end;
  }
  text = std::move(out);
  constexpr View kName = U"DOTMULTI.";
  while (text.find(kName) != text.npos) {
    out.clear();
    for (size_t i = 0; i < text.size();) {
      const size_t after = i + kName.size();
      if (View(text).substr(i).starts_with(kName) && after < text.size() && text[after] != U'.') {
        out += U"DOTDOTMULTI ";
        out += text[after];
        i = after + 1;
      } else {
        out += text[i++];
      }
    }
    text = std::move(out);
    replace_all(text, kName, U"DOTDOTMULTI");
  }
}

void restore_ellipses(Text& text) {
  while (text.find(U"DOTDOTMULTI") != text.npos) replace_all(text, U"DOTDOTMULTI", U"DOTMULTI.");
  replace_all(text, U"DOTMULTI", U".");
}

void unify_quotes(Text& text) {
  std::ranges::replace_if(
      text, [](char32_t c) { return c == U'`' || c == 0x2018 || c == 0x2019; }, U'\'');
  Text out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool two = text[i] == U'\'' && i + 1 < text.size() && text[i + 1] == U'\'';
    if (two || text[i] == 0x201C || text[i] == 0x201D) {
      out += U" \"";
      i += two;
    } else {
      out += text[i];
    }
  }
  text = std::move(out);
}

std::string encode(View text) {
  std::string out;
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

std::vector<Text> split_words(View text) {
  constexpr View kBetween = U" \t\n\r\f";
  std::vector<Text> words;
  for (size_t at = 0; (at = text.find_first_not_of(kBetween, at)) != text.npos;) {
    const size_t end = std::min(text.find_first_of(kBetween, at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

// A period at a word's end is split off unless it belongs to the word.
Text split_periods(const std::vector<Text>& words, const PeriodKeepers& keepers) {
  Text out;
  for (size_t i = 0; i < words.size(); ++i) {
    const Text& word = words[i];
    if (word.size() > 1 && word.ends_with(U'.')) {
      const View stem = View(word).substr(0, word.size() - 1);
      const char32_t next = i + 1 < words.size() ? words[i + 1].front() : U'\0';
      const PeriodKeepers::When keep = keepers.when(encode(stem));
      if (stem.find(U'.') != stem.npos && std::ranges::any_of(stem, is_alpha)) {
        for (const char32_t c : word)
          if (c != U'.') out += c;
      } else if (keep == PeriodKeepers::When::kAlways || among(next, 'a', 'z') ||
                 (keep == PeriodKeepers::When::kBeforeNumbers && is_digit(next))) {
        out += word;
      } else {
        out += stem;
        out += U" .";
      }
    } else {
      out += word;
    }
    out += U' ';
  }
  return out;
}

}  // namespace

std::string meteor_normalize(std::string_view utf8, const PeriodKeepers& keepers) {
  Text text = U" ";
  for (size_t at = 0; at < utf8.size();) {
    const CodePoint p = read_utf8(utf8, at);
    text += p.code == kInvalidCode ? char32_t{0xFFFD} : p.code;
    at += static_cast<size_t>(p.size);
  }
  text += U' ';
  const auto no = [](auto&& is) { return [is](char32_t c) { return !is(c); }; };
  split_signs(text);
  name_ellipses(text);
  replace_between(text, no(is_digit), U',', no(is_digit), U" , ");
  replace_between(text, is_digit, U',', no(is_digit), U" , ");
  replace_between(text, no(is_digit), U',', is_digit, U" , ");
  unify_quotes(text);
  replace_all(text, U"\u2013", U"-");
  replace_all(text, U"--", U"-");
  replace_between(
      text, [](char32_t c) { return is_alnum(c) || c == U'.'; }, U'-', is_alnum, U" ");
  replace_between(text, no(is_alpha), U'\'', no(is_alpha), U" ' ");
  replace_between(text, no(is_alnum), U'\'', is_alpha, U" ' ");
  replace_between(text, is_alpha, U'\'', no(is_alpha), U" ' ");
  replace_between(text, is_alpha, U'\'', is_alpha, U" '");
  replace_between(
      text, is_digit, U'\'', [](char32_t c) { return c == U's'; }, U" '");
  text = split_periods(split_words(text), keepers);
  restore_ellipses(text);
  // One space for several, of all kinds.
  Text out;
  for (const char32_t c : text) {
    const bool space = c == U' ' || c == 0xA0 || among(c, 0x2000, 0x200A) || c == 0x202F ||
                       c == 0x205F || c == 0x3000;
    if (!space)
      out += c;
    else if (!out.ends_with(U' '))
      out += U' ';
  }
  // String.trim: all up to the space is taken off both ends.
  View trimmed = out;
  while (!trimmed.empty() && trimmed.front() <= U' ') trimmed.remove_prefix(1);
  while (!trimmed.empty() && trimmed.back() <= U' ') trimmed.remove_suffix(1);
  std::u16string units;
  java::append_utf16(units, encode(trimmed));
  std::string lowered;
  java::append_utf8(lowered, java::lower(units));
  return lowered;
}

}  // namespace nibble
