// SPDX-License-Identifier: Apache-2.0
#include "score/snowball.h"

#include <algorithm>
#include <array>
#include <utility>

namespace nibble {
namespace {

using View = std::u16string_view;
using Pair = std::pair<View, View>;

// Words of which the stem is given, or that are their own.
constexpr Pair kWhole[] = {
    {u"skis", u"ski"},    {u"skies", u"sky"},   {u"dying", u"die"},    {u"lying", u"lie"},
    {u"tying", u"tie"},   {u"idly", u"idl"},    {u"gently", u"gentl"}, {u"ugly", u"ugli"},
    {u"early", u"earli"}, {u"only", u"onli"},   {u"singly", u"singl"}, {u"sky", u"sky"},
    {u"news", u"news"},   {u"howe", u"howe"},   {u"atlas", u"atlas"},  {u"cosmos", u"cosmos"},
    {u"bias", u"bias"},   {u"andes", u"andes"},
};
// Words left alone once the plural is off.
constexpr View kAfterPlural[] = {u"inning",  u"outing",  u"canning", u"herring",
                                 u"earring", u"proceed", u"exceed",  u"succeed"};
// Step 2, longest first among those that end alike; -li and -ogi are apart.
constexpr Pair kDerived[] = {
    {u"ization", u"ize"}, {u"ational", u"ate"}, {u"fulness", u"ful"}, {u"ousness", u"ous"},
    {u"iveness", u"ive"}, {u"tional", u"tion"}, {u"biliti", u"ble"},  {u"lessli", u"less"},
    {u"entli", u"ent"},   {u"ation", u"ate"},   {u"alism", u"al"},    {u"aliti", u"al"},
    {u"ousli", u"ous"},   {u"iviti", u"ive"},   {u"fulli", u"ful"},   {u"enci", u"ence"},
    {u"anci", u"ance"},   {u"abli", u"able"},   {u"izer", u"ize"},    {u"ator", u"ate"},
    {u"alli", u"al"},     {u"bli", u"ble"},     {u"ogi", u"og"},      {u"li", u""},
};
// Step 3; -ative is apart.
constexpr Pair kDerivedTwice[] = {
    {u"ational", u"ate"}, {u"tional", u"tion"}, {u"alize", u"al"},
    {u"icate", u"ic"},    {u"iciti", u"ic"},    {u"ative", u""},
    {u"ical", u"ic"},     {u"ness", u""},       {u"ful", u""},
};
// Step 4; -ion is apart.
constexpr View kEndings[] = {u"ement", u"ance", u"ence", u"able", u"ible", u"ment",
                             u"ant",   u"ent",  u"ism",  u"ate",  u"iti",  u"ous",
                             u"ive",   u"ize",  u"ion",  u"al",   u"er",   u"ic"};

bool is_vowel(char16_t c) {
  return View(u"aeiouy").find(c) != View::npos;  // "Y" is a consonant's y
}

class Stemmer {
 public:
  explicit Stemmer(View word) : word_(word) {}

  std::u16string run() {
    if (word_.size() <= 2) return word_;
    if (const auto* whole = std::ranges::find(kWhole, View(word_), &Pair::first);
        whole != std::end(kWhole))
      return std::u16string(whole->second);
    if (word_.front() == u'\'') word_.erase(0, 1);
    mark_consonant_ys();
    find_regions();
    remove_apostrophe();
    remove_plural();
    if (std::ranges::find(kAfterPlural, View(word_)) == std::end(kAfterPlural)) {
      remove_past();
      y_to_i();
      replace_derived();
      replace_derived_twice();
      remove_ending();
      remove_last();
    }
    std::ranges::replace(word_, u'Y', u'y');
    return word_;
  }

 private:
  bool ends(View suffix) const { return View(word_).ends_with(suffix); }
  // Where the suffix begins is in the region.
  bool in(size_t region, View suffix) const { return word_.size() - suffix.size() >= region; }
  void replace(View suffix, View by) {
    word_.resize(word_.size() - suffix.size());
    word_ += by;
  }
  bool has_vowel(size_t end) const {
    return std::any_of(word_.begin(), word_.begin() + static_cast<std::ptrdiff_t>(end), is_vowel);
  }

  void mark_consonant_ys() {
    for (size_t i = 0; i < word_.size(); ++i)
      if (word_[i] == u'y' && (i == 0 || is_vowel(word_[i - 1]))) word_[i] = u'Y';
  }

  // Behind the first consonant after a vowel, from `at` on.
  size_t region_from(size_t at) const {
    while (at < word_.size() && !is_vowel(word_[at])) ++at;
    while (at < word_.size() && is_vowel(word_[at])) ++at;
    return std::min(at + 1, word_.size());
  }
  void find_regions() {
    first_ = 0;
    for (const View prefix : {View(u"gener"), View(u"commun"), View(u"arsen")})
      if (View(word_).starts_with(prefix)) first_ = prefix.size();
    if (first_ == 0) first_ = region_from(0);
    second_ = region_from(first_);
  }

  void remove_apostrophe() {
    for (const View suffix : {View(u"'s'"), View(u"'s"), View(u"'")})
      if (ends(suffix)) return replace(suffix, u"");
  }

  void remove_plural() {
    if (ends(u"sses")) return replace(u"sses", u"ss");
    if (ends(u"ied") || ends(u"ies"))
      return replace(u"ies", word_.size() > 4 ? View(u"i") : View(u"ie"));
    if (ends(u"us") || ends(u"ss") || !ends(u"s")) return;
    if (word_.size() >= 2 && has_vowel(word_.size() - 2)) word_.pop_back();
  }

  void remove_past() {
    for (const View suffix : {View(u"eedly"), View(u"eed")})
      if (ends(suffix)) {
        if (in(first_, suffix)) replace(suffix, u"ee");
        return;
      }
    for (const View suffix : {View(u"ingly"), View(u"edly"), View(u"ing"), View(u"ed")}) {
      if (!ends(suffix)) continue;
      if (!has_vowel(word_.size() - suffix.size())) return;
      replace(suffix, u"");
      constexpr View kDoubles = u"bdfgmnprt";
      const size_t n = word_.size();
      if (ends(u"at") || ends(u"bl") || ends(u"iz"))
        word_ += u'e';
      else if (n >= 2 && word_[n - 1] == word_[n - 2] && kDoubles.find(word_[n - 1]) != View::npos)
        word_.pop_back();
      else if (first_ >= n && ends_short())
        word_ += u'e';
      return;
    }
  }

  // A vowel between consonants, the last no w, x or Y; or a vowel that begins the word.
  bool ends_short() const {
    const size_t n = word_.size();
    if (n >= 3 && !is_vowel(word_[n - 1]) && View(u"wxY").find(word_[n - 1]) == View::npos &&
        is_vowel(word_[n - 2]) && !is_vowel(word_[n - 3]))
      return true;
    return n == 2 && !is_vowel(word_[1]) && is_vowel(word_[0]);
  }

  void y_to_i() {
    const size_t n = word_.size();
    if (n > 2 && (word_[n - 1] == u'y' || word_[n - 1] == u'Y') && !is_vowel(word_[n - 2]))
      word_[n - 1] = u'i';
  }

  void replace_derived() {
    for (const auto& [suffix, by] : kDerived) {
      if (!ends(suffix)) continue;
      if (!in(first_, suffix)) return;
      const char16_t before =
          word_.size() > suffix.size() ? word_[word_.size() - suffix.size() - 1] : u'\0';
      if (suffix == u"ogi" && before != u'l') return;
      if (suffix == u"li" && View(u"cdeghkmnrt").find(before) == View::npos) return;
      return replace(suffix, by);
    }
  }

  void replace_derived_twice() {
    for (const auto& [suffix, by] : kDerivedTwice) {
      if (!ends(suffix)) continue;
      if (in(suffix == u"ative" ? std::max(first_, second_) : first_, suffix)) replace(suffix, by);
      return;
    }
  }

  void remove_ending() {
    for (const View suffix : kEndings) {
      if (!ends(suffix)) continue;
      if (!in(second_, suffix)) return;
      if (suffix == u"ion") {
        const char16_t before = word_.size() > 3 ? word_[word_.size() - 4] : u'\0';
        if (before != u's' && before != u't') return;
      }
      return replace(suffix, u"");
    }
  }

  void remove_last() {
    if (ends(u"e")) {
      const bool inner = in(first_, u"e");
      const bool removable = in(second_, u"e");
      word_.pop_back();
      if (!removable && (!inner || ends_short())) word_ += u'e';
    } else if (ends(u"ll") && in(second_, u"l")) {
      word_.pop_back();
    }
  }

  std::u16string word_;
  size_t first_ = 0, second_ = 0;  // where the regions R1 and R2 begin
};

}  // namespace

std::u16string snowball_stem(std::u16string_view word) {
  return Stemmer(word).run();
}

}  // namespace nibble
