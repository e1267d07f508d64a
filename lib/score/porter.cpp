// SPDX-License-Identifier: Apache-2.0
#include "score/porter.h"

#include <algorithm>
#include <array>
#include <span>

#include "text/unicode.h"

namespace nibble {
namespace {

struct Irregular {
  std::string_view word, stem;
};
constexpr Irregular kIrregular[] = {
    {"sky", "sky"},        {"skies", "sky"},       {"dying", "die"},        {"lying", "lie"},
    {"tying", "tie"},      {"news", "news"},       {"innings", "inning"},   {"inning", "inning"},
    {"outings", "outing"}, {"outing", "outing"},   {"cannings", "canning"}, {"canning", "canning"},
    {"howe", "howe"},      {"proceed", "proceed"}, {"exceed", "exceed"},    {"succeed", "succeed"},
};

struct Rule {
  std::string_view suffix, replacement;
};
// Of every list, the first rule whose suffix fits is the only one tried.
constexpr Rule kStep2[] = {
    {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"},
    {"bli", "ble"},     {"alli", "al"},     {"entli", "ent"}, {"eli", "e"},     {"ousli", "ous"},
    {"ization", "ize"}, {"ation", "ate"},   {"ator", "ate"},  {"alism", "al"},  {"iveness", "ive"},
    {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},  {"iviti", "ive"}, {"biliti", "ble"},
    {"fulli", "ful"},
};
constexpr Rule kStep3[] = {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"},
                           {"ical", "ic"},  {"ful", ""},   {"ness", ""}};
constexpr std::string_view kStep4[] = {"al",  "ance",  "ence", "er",  "ic",  "able", "ible",
                                       "ant", "ement", "ment", "ent", "ion", "ou",   "ism",
                                       "ate", "iti",   "ous",  "ive", "ize"};

// A word being stemmed. Char is char where all of it is ASCII, else char32_t.
template <class Char>
class Word {
 public:
  explicit Word(std::basic_string<Char> letters) : letters_(std::move(letters)) {}

  std::basic_string<Char> stem() && {
    step1a();
    step1b();
    step1c();
    step2();
    step3();
    step4();
    step5();
    return std::move(letters_);
  }

 private:
  static bool is_vowel(Char c) { return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u'; }

  // y is a consonant at the start and after a vowel.
  bool is_consonant(size_t at) const {
    size_t first = at;
    while (first > 0 && letters_[first] == 'y') --first;
    return !is_vowel(letters_[first]) != ((at - first) % 2 != 0);
  }

  // How many vowels are followed by a consonant in the first n letters: Porter's m.
  int measure(size_t n) const {
    int count = 0;
    bool before = true;
    for (size_t i = 0; i < n; ++i) {
      const bool consonant = letters_[i] == 'y' ? i == 0 || !before : !is_vowel(letters_[i]);
      count += i > 0 && consonant && !before;
      before = consonant;
    }
    return count;
  }

  bool contains_vowel(size_t n) const {
    for (size_t i = 0; i < n; ++i)
      if (!is_consonant(i)) return true;
    return false;
  }

  // Porter's *o of the first n letters, and any two letters that are vowel and consonant.
  bool ends_cvc(size_t n) const {
    if (n == 2) return !is_consonant(0) && is_consonant(1);
    if (n < 3) return false;
    const Char last = letters_[n - 1];
    return is_consonant(n - 3) && !is_consonant(n - 2) && is_consonant(n - 1) && last != 'w' &&
           last != 'x' && last != 'y';
  }

  bool ends(std::string_view suffix) const {
    return letters_.size() >= suffix.size() &&
           std::equal(suffix.begin(), suffix.end(), letters_.end() - std::ssize(suffix));
  }
  size_t without(std::string_view suffix) const { return letters_.size() - suffix.size(); }
  void replace(std::string_view suffix, std::string_view with) {
    letters_.resize(without(suffix));
    letters_.append(with.begin(), with.end());
  }

  void step1a() {
    if (ends("ies"))
      replace("ies", letters_.size() == 4 ? "ie" : "i");
    else if (ends("sses"))
      replace("sses", "ss");
    else if (ends("s") && !ends("ss"))
      replace("s", "");
  }

  void step1b() {
    if (ends("ied")) {
      replace("ied", letters_.size() == 4 ? "ie" : "i");
      return;
    }
    if (ends("eed")) {
      if (measure(without("eed")) > 0) replace("eed", "ee");
      return;
    }
    if (ends("ed") && contains_vowel(without("ed")))
      replace("ed", "");
    else if (ends("ing") && contains_vowel(without("ing")))
      replace("ing", "");
    else
      return;
    const size_t n = letters_.size();
    const Char last = letters_[n - 1];
    if (ends("at") || ends("bl") || ends("iz"))
      letters_ += 'e';
    else if (n >= 2 && last == letters_[n - 2] && is_consonant(n - 1)) {
      if (last != 'l' && last != 's' && last != 'z') letters_.pop_back();
    } else if (measure(n) == 1 && ends_cvc(n))
      letters_ += 'e';
  }

  void step1c() {
    const size_t n = without("");
    if (ends("y") && n > 2 && is_consonant(n - 2)) letters_.back() = 'i';
  }

  void step2() {
    while (ends("alli") && measure(without("alli")) > 0) replace("alli", "al");
    if (apply(kStep2)) return;
    if (ends("logi") && measure(without("ogi")) > 0) replace("logi", "log");
  }

  void step3() { apply(kStep3); }

  void step4() {
    for (const std::string_view suffix : kStep4) {
      if (!ends(suffix)) continue;
      const size_t n = without(suffix);
      const bool removed =
          measure(n) > 1 && (suffix != "ion" || letters_[n - 1] == 's' || letters_[n - 1] == 't');
      if (removed) letters_.resize(n);
      return;
    }
  }

  void step5() {
    if (ends("e")) {
      const size_t n = without("e");
      const int m = measure(n);
      if (m > 1 || (m == 1 && !ends_cvc(n))) letters_.pop_back();
    }
    if (ends("ll") && measure(without("l")) > 1) letters_.pop_back();
  }

  // Whether a rule's suffix fitted.
  bool apply(std::span<const Rule> rules) {
    for (const Rule& rule : rules) {
      if (!ends(rule.suffix)) continue;
      if (measure(without(rule.suffix)) > 0) replace(rule.suffix, rule.replacement);
      return true;
    }
    return false;
  }

  std::basic_string<Char> letters_;
};

}  // namespace

std::string porter_stem(std::string_view word) {
  for (const Irregular& form : kIrregular)
    if (form.word == word) return std::string(form.stem);
  if (std::ranges::all_of(word, [](char c) { return static_cast<unsigned char>(c) < 0x80; })) {
    if (word.size() <= 2) return std::string(word);
    return Word<char>(std::string(word)).stem();
  }
  std::u32string letters;
  for (size_t at = 0; at < word.size();) {
    const CodePoint p = read_utf8(word, at);
    letters += p.code;
    at += static_cast<size_t>(p.size);
  }
  if (letters.size() <= 2) return std::string(word);
  std::string out;
  for (const char32_t letter : Word<char32_t>(std::move(letters)).stem()) append_utf8(out, letter);
  return out;
}

}  // namespace nibble
