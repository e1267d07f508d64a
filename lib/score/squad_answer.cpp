// SPDX-License-Identifier: Apache-2.0
#include "score/squad_answer.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "text/jinja_utf8.h"
#include "text/unicode.h"

namespace nibble {
namespace {

namespace utf8 = jinja::utf8;

enum class Kind : uint8_t { kWord, kSpace, kOther, kPunctuation };

// What a character is to Python: kWord is what \w means.
Kind kind_of(char32_t code) {
  if (is_python_space(code)) return Kind::kSpace;
  const bool word =
      code != kInvalidCode && (utf8::is_alpha(code) || utf8::is_decimal(code) ||
                               utf8::is_digit(code) || utf8::is_numeric(code) || code == '_');
  return word ? Kind::kWord : Kind::kOther;
}

struct Ascii {
  std::array<Kind, 128> kinds;
  std::array<char, 128> lower;
  std::array<char, 128> plain;  // of printable characters: lowercase, or a space; punctuation: 0
  Ascii() {
    for (size_t c = 0; c < 128; ++c) {
      kinds[c] = kind_of(static_cast<char32_t>(c));
      lower[c] = static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    for (const char c : std::string_view("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"))
      kinds[static_cast<size_t>(c)] = Kind::kPunctuation;
    for (size_t c = 0; c < 128; ++c) plain[c] = kinds[c] == Kind::kPunctuation ? '\0' : lower[c];
  }
};
const Ascii kAscii;

// Whether all is printable ASCII; eight characters at a time.
bool is_printable(std::string_view text) {
  constexpr uint64_t kOnes = 0x0101010101010101u;
  uint64_t bad = 0;
  size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t w = 0;
    std::memcpy(&w, text.data() + at, sizeof w);
    bad |= w | (w - 0x20 * kOnes) | (w + kOnes);
  }
  if ((bad & 0x80 * kOnes) != 0) return false;
  return std::all_of(text.begin() + static_cast<std::ptrdiff_t>(at), text.end(),
                     [](char c) { return c >= ' ' && c < 0x7f; });
}

// Whether lowering may change characters outside ASCII.
bool has_other_capitals(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    if ((text[at] & 0x80) == 0) {
      ++at;
      continue;
    }
    const CodePoint p = read_utf8(text, at);
    const bool small = p.code < 0xC0 || (p.code >= 0xDF && p.code <= 0xFF);  // of Latin-1
    if (!small) return true;
    at += static_cast<size_t>(p.size);
  }
  return false;
}

bool is_article(std::string_view run) {
  return run.size() <= 3 && (run == "a" || run == "an" || run == "the");
}

// Of printable ASCII alone: there an article is a whole token.
template <class Use>
void plain_tokens(std::string_view text, char* to, Use use) {
  char* token = to;
  const auto end_token = [&](char* end) {
    const std::string_view run(token, static_cast<size_t>(end - token));
    if (!run.empty() && !is_article(run)) use(run);
    token = to;
  };
  for (const char c : text) {
    const char kept = kAscii.plain[static_cast<size_t>(c)];
    *to = kept;
    to += kept != '\0';
    if (kept == ' ') end_token(to - 1);
  }
  end_token(to);
}

// Of any text without capitals outside ASCII.
template <class Use>
void any_tokens(std::string_view text, char* to, Use use) {
  size_t size = 0;             // of what is written
  size_t token = 0, word = 0;  // where in it the token and the run of letters begin
  const auto end_token = [&](size_t end) {
    if (end > token) use(std::string_view(to + token, end - token));
    token = size;
  };
  // An article is a whole run of letters; it splits what stands around it.
  const auto end_word = [&] {
    if (is_article({to + word, size - word})) end_token(word);
    word = size;
  };
  for (size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80) {
      const Kind kind = kAscii.kinds[byte];
      ++at;
      if (kind == Kind::kPunctuation) continue;
      if (kind == Kind::kWord) {
        to[size++] = kAscii.lower[byte];
        continue;
      }
      end_word();
      if (kind == Kind::kSpace)
        end_token(size);
      else
        to[size++] = static_cast<char>(byte);
      word = size;
      continue;
    }
    const CodePoint p = read_utf8(text, at);
    const Kind kind = kind_of(p.code);
    if (kind != Kind::kWord) end_word();
    if (kind == Kind::kSpace) end_token(size);
    for (int i = 0; i < p.size && kind != Kind::kSpace; ++i)
      to[size++] = text[at + static_cast<size_t>(i)];
    if (kind != Kind::kWord) word = size;
    at += static_cast<size_t>(p.size);
  }
  end_word();
  end_token(size);
}

// Calls use(token) for every token; they are views of `out`.
template <class Use>
void for_tokens(std::string_view text, std::string& out, Use use) {
  out.resize(text.size());
  if (is_printable(text)) return plain_tokens(text, out.data(), use);
  if (!has_other_capitals(text)) return any_tokens(text, out.data(), use);
  const std::string lowered = utf8::lower(text);
  out.resize(lowered.size());
  any_tokens(lowered, out.data(), use);
}

}  // namespace

void SquadAnswer::begin(std::string_view hypothesis) {
  ids_.clear();
  own_.clear();
  for_tokens(hypothesis, own_text_,
             [&](std::string_view token) { own_.push_back(ids_.add(token)); });
}

void SquadAnswer::read(std::string_view reference) {
  theirs_.clear();
  for_tokens(reference, text_,
             [&](std::string_view token) { theirs_.push_back(ids_.find(token)); });
}

double SquadAnswer::f1() {
  counts_.assign(static_cast<size_t>(ids_.size()), 0);
  for (const int32_t token : own_) ++counts_[static_cast<size_t>(token)];
  double common = 0.0;
  for (const int32_t token : theirs_)
    common += token >= 0 && counts_[static_cast<size_t>(token)]-- > 0;
  if (common == 0.0) return 0.0;
  const double precision = common / static_cast<double>(own_.size());
  const double recall = common / static_cast<double>(theirs_.size());
  return 2.0 * precision * recall / (precision + recall);
}

SquadAnswer& squad_answer(std::string_view hypothesis) {
  thread_local SquadAnswer answer;
  answer.begin(hypothesis);
  return answer;
}

}  // namespace nibble
