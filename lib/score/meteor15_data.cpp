// SPDX-License-Identifier: Apache-2.0
#include "score/meteor15_data.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "io/file.h"
#include "io/lines.h"

namespace nibble {
namespace {

// The words of a line, as Java's StringTokenizer splits it.
void split(std::string_view line, auto&& use) {
  const auto between = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r' && c != '\v'); };
  for (size_t at = 0, size = line.size();;) {
    while (at < size && between(line[at])) ++at;
    if (at == size) return;
    const size_t begin = at;
    while (at < size && !between(line[at])) ++at;
    if (!use(line.substr(begin, at - begin))) return;
  }
}

std::string_view take_line(std::string_view& rest) {
  const size_t end = std::min(rest.find('\n'), rest.size());
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
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

bool is_compressed(const std::string& path) {
  if (path.ends_with(".zst") || path == "-") return true;
  constexpr std::string_view kMagic = "\x28\xB5\x2F\xFD";
  return MappedFile(path).text().starts_with(kMagic);
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

Synonyms::Synonyms(const std::string& folder) : path_(folder + "/english.synsets") {
  text_ = read_text_file(path_);
  words_.reserve(static_cast<size_t>(std::ranges::count(text_, '\n')) / 2 + 1);
  for (std::string_view rest = text_; !rest.empty();) {
    const std::string_view word = take_line(rest);
    if (rest.empty())
      throw DataError(cat(path_, ": the last word has no line of numbers; is it cut off?"));
    // The last of several lines for a word counts.
    lines_.push_back(take_line(rest));
    if (!words_.insert(word, static_cast<int32_t>(lines_.size()) - 1))
      lines_[static_cast<size_t>(words_.find(word))] = lines_.back();
  }
  read_pairs(folder + "/english.exceptions",
             [&](const std::string& word, std::string_view line, const LineReader&) {
               split(line, [&](std::string_view form) {
                 bases_[std::string(form)].push_back(word);
                 return true;
               });
             });
}

void Synonyms::add_sets(std::string_view word, std::vector<int32_t>& sets) const {
  const int32_t at = words_.find(word);
  if (at < 0) return;
  split(lines_[static_cast<size_t>(at)], [&](std::string_view number) {
    int32_t set = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), set);
    if (error != std::errc{} || end != number.data() + number.size())
      throw DataError(cat(path_, ": \"", word, "\": \"", number, "\" is no set's number"));
    sets.push_back(set);
    return true;
  });
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
    if (words_.find(candidate) >= 0) return word.ends_with("ful") ? candidate + "ful" : candidate;
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

Paraphrases::Paraphrases(const std::string& path, const StringTable& words) {
  if (is_compressed(path)) {
    LineReader lines(path);
    read(path, words, [&](std::string_view& line) { return lines.next(line); });
    return;
  }
  // As it lies: the table is some hundred megabytes.
  const MappedFile file(path);
  std::string_view rest = file.text();
  read(path, words, [&](std::string_view& line) {
    if (rest.empty()) return false;
    line = take_line(rest);
    return true;
  });
}

void Paraphrases::read(const std::string& path, const StringTable& known, auto&& next_line) {
  std::vector<int32_t> phrase, paraphrase;
  // Whether all words of the line are known.
  const auto number = [&](std::string_view line, std::vector<int32_t>& words) {
    words.clear();
    split(line, [&](std::string_view word) {
      words.push_back(known.find(word));
      return words.back() >= 0;
    });
    return !words.empty() && words.back() >= 0;
  };
  for (std::string_view line; next_line(line);) {
    const bool wanted = next_line(line) && number(line, phrase);
    if (!next_line(line))
      throw DataError(cat(path, ": the last entry has fewer than three lines; is it cut off?"));
    if (!wanted || !number(line, paraphrase)) continue;
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
