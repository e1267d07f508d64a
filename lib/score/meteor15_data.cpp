// SPDX-License-Identifier: Apache-2.0
#include "score/meteor15_data.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "io/lines.h"

namespace nibble {
namespace {

// The words of a line, as Java's StringTokenizer splits it.
void split(std::string_view line, auto&& use) {
  constexpr std::string_view kBetween = " \t\n\r\f";
  for (size_t at = 0; (at = line.find_first_not_of(kBetween, at)) != line.npos;) {
    const size_t end = std::min(line.find_first_of(kBetween, at), line.size());
    if (!use(line.substr(at, end - at))) return;
    at = end;
  }
}

// Reads two lines at a time.
void read_pairs(const std::string& path, auto&& use) {
  LineReader lines(path);
  std::string first;
  for (std::string_view line; lines.next(line);) {
    first = line;
    if (!lines.next(line))
      throw DataError(cat(lines.place(), ": the last entry has no second line; is it cut off?"));
    use(first, line, lines);
  }
}

}  // namespace

StringSet read_function_words(const std::string& path) {
  StringSet words;
  LineReader lines(path);
  for (std::string_view line; lines.next(line);) words.emplace(line);
  return words;
}

PeriodKeepers::PeriodKeepers(const std::string& path) {
  LineReader lines(path);
  for (std::string_view line; lines.next(line);) {
    std::string prefix;
    When when = When::kAlways;
    split(line, [&](std::string_view word) {
      if (prefix.empty())
        prefix = word;
      else if (word == "#NUMERIC_ONLY#")
        when = When::kBeforeNumbers;
      return !prefix.starts_with('#');
    });
    if (!prefix.empty() && !prefix.starts_with('#')) prefixes_[prefix] = when;
  }
}

PeriodKeepers::When PeriodKeepers::when(std::string_view prefix) const {
  const auto at = prefixes_.find(prefix);
  return at == prefixes_.end() ? When::kNever : at->second;
}

Synonyms::Synonyms(const std::string& folder) {
  read_pairs(folder + "/english.synsets", [&](const std::string& word, std::string_view line,
                                              const LineReader& lines) {
    std::vector<int32_t> sets;
    split(line, [&](std::string_view number) {
      int32_t set = 0;
      const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), set);
      if (error != std::errc{} || end != number.data() + number.size())
        throw DataError(cat(lines.place(), ": \"", number, "\" is no set's number"));
      sets.push_back(set);
      return true;
    });
    sets_[word] = std::move(sets);
  });
  read_pairs(folder + "/english.exceptions",
             [&](const std::string& word, std::string_view line, const LineReader&) {
               split(line, [&](std::string_view form) {
                 bases_[std::string(form)].push_back(word);
                 return true;
               });
             });
}

void Synonyms::add_sets(std::string_view word, std::vector<int32_t>& sets) const {
  if (const auto at = sets_.find(word); at != sets_.end())
    sets.insert(sets.end(), at->second.begin(), at->second.end());
}

// A regular inflection undone, if that gives a word.
std::string Synonyms::base_form(std::string_view word) const {
  struct Ending {
    std::string_view form, base;
  };
  static constexpr Ending kEndings[] = {
      {"s", ""},      {"ses", "s"}, {"xes", "x"}, {"zes", "z"}, {"ches", "ch"}, {"shes", "sh"},
      {"men", "man"}, {"ies", "y"}, {"es", "e"},  {"es", ""},   {"ed", "e"},    {"ed", ""},
      {"ing", "e"},   {"ing", ""},  {"er", ""},   {"est", ""},  {"er", "e"},    {"est", "e"},
  };
  if (word.ends_with("ss") || word.size() <= 2) return std::string(word);
  for (const auto& [form, base] : kEndings) {
    if (!word.ends_with(form)) continue;
    std::string candidate = cat(word.substr(0, word.size() - form.size()), base);
    if (sets_.contains(candidate)) return word.ends_with("ful") ? candidate + "ful" : candidate;
  }
  return {};
}

std::vector<int32_t> Synonyms::sets_of(std::string_view word) const {
  std::vector<int32_t> sets;
  add_sets(word, sets);
  if (const auto at = bases_.find(word); at != bases_.end())
    for (const std::string& base : at->second) add_sets(base, sets);
  else
    add_sets(base_form(word), sets);
  std::ranges::sort(sets);
  sets.erase(std::unique(sets.begin(), sets.end()), sets.end());
  return sets;
}

Paraphrases::Paraphrases(const std::string& path,
                         const std::function<int32_t(std::string_view)>& number_of) {
  LineReader lines(path);
  std::vector<int32_t> phrase, paraphrase;
  // Whether all words of the line are known.
  const auto read = [&](std::string_view line, std::vector<int32_t>& words) {
    words.clear();
    bool known = true;
    split(line, [&](std::string_view word) {
      words.push_back(number_of(word));
      return known = words.back() >= 0;
    });
    return known && !words.empty();
  };
  for (std::string_view line; lines.next(line);) {
    bool wanted = lines.next(line) && read(line, phrase);
    if (!lines.next(line))
      throw DataError(
          cat(lines.place(), ": the last entry has fewer than three lines; is it cut off?"));
    if (!wanted || !read(line, paraphrase)) continue;
    int32_t node = kNone;
    for (const int32_t word : phrase) {
      node = phrases_.emplace(key_of(node, word), static_cast<int32_t>(paraphrases_.size()))
                 .first->second;
      if (node == std::ssize(paraphrases_)) paraphrases_.emplace_back();
    }
    paraphrases_[static_cast<size_t>(node)].push_back(paraphrase);
  }
}

}  // namespace nibble
