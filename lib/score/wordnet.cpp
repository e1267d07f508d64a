// SPDX-License-Identifier: Apache-2.0
#include "score/wordnet.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>

#include "base/error.h"
#include "io/lines.h"

namespace nibble {
namespace {

struct Ending {
  std::string_view form, base;
};
constexpr Ending kNoun[] = {{"s", ""},      {"ses", "s"},   {"ves", "f"},
                            {"xes", "x"},   {"zes", "z"},   {"ches", "ch"},
                            {"shes", "sh"}, {"men", "man"}, {"ies", "y"}};
constexpr Ending kVerb[] = {{"s", ""},   {"ies", "y"}, {"es", "e"},  {"es", ""},
                            {"ed", "e"}, {"ed", ""},   {"ing", "e"}, {"ing", ""}};
constexpr Ending kAdjective[] = {{"er", ""}, {"est", ""}, {"er", "e"}, {"est", "e"}};

struct PartOfSpeech {
  std::string_view name;
  std::span<const Ending> endings;
};
constexpr PartOfSpeech kParts[] = {
    {"noun", kNoun}, {"verb", kVerb}, {"adj", kAdjective}, {"adv", {}}};

// Fields between spaces, one after another.
class Fields {
 public:
  Fields(const MappedFile& file, std::string_view line) : file_(file), line_(line) {}
  std::string_view next() {
    const size_t start = std::min(line_.find_first_not_of(' '), line_.size());
    const size_t end = std::min(line_.find(' ', start), line_.size());
    const std::string_view field = line_.substr(start, end - start);
    if (field.empty()) fail("a field is missing");
    line_.remove_prefix(end);
    return field;
  }
  size_t number(int base = 10) {
    const std::string_view field = next();
    size_t value = 0;
    const auto [end, error] =
        std::from_chars(field.data(), field.data() + field.size(), value, base);
    if (error != std::errc{} || end != field.data() + field.size())
      fail(cat("\"", field, "\" is no number"));
    return value;
  }
  [[noreturn]] void fail(const std::string& fault) const {
    throw DataError(
        cat(file_.path().string(), ": ", fault, "; is it a file of WordNet's database?"));
  }

 private:
  const MappedFile& file_;
  std::string_view line_;
};

std::string_view line_at(std::string_view text, size_t at) {
  return text.substr(at, text.find('\n', at) - at);
}

// The line of a lemma, by bisection: lines are in the order of their bytes, those of the licence,
// which begin with spaces, first.
std::optional<std::string_view> find_line(std::string_view text, std::string_view lemma) {
  if (lemma.empty()) return std::nullopt;
  size_t low = 0, high = text.size();  // the line starts in [low, high)
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const size_t before = middle == 0 ? text.npos : text.rfind('\n', middle - 1);
    const size_t start = std::max(low, before == text.npos ? 0 : before + 1);
    const std::string_view line = line_at(text, start);
    const std::string_view key = line.substr(0, line.find(' '));
    if (key == lemma) return line;
    if (key < lemma)
      low = std::min(start + line.size() + 1, text.size());
    else
      high = start;
  }
  return std::nullopt;
}

}  // namespace

WordNet::WordNet(const std::string& folder) {
  for (const PartOfSpeech& part : kParts) parts_.push_back(open(folder, part.name));
}

WordNet::Part WordNet::open(const std::string& folder, std::string_view name) {
  const auto path = [&](std::string_view kind) { return cat(folder, "/", kind, ".", name); };
  if (!input_exists(path("index")))
    throw NoInputError(cat(path("index"),
                           ": WordNet's database is not there; install wordnet-base "
                           "or name its folder: wordnet=FOLDER"));
  Part part{MappedFile(path("index")), MappedFile(path("data")), {}};
  LineReader lines(cat(folder, "/", name, ".exc"));
  for (std::string_view line; lines.next(line);) {
    std::vector<std::string> forms;
    while (!line.empty()) {
      const size_t end = std::min(line.find(' '), line.size());
      if (end > 0) forms.emplace_back(line.substr(0, end));
      line.remove_prefix(std::min(end + 1, line.size()));
    }
    if (forms.empty()) continue;
    std::string form = std::move(forms.front());
    forms.erase(forms.begin());
    part.exceptions[std::move(form)] = std::move(forms);
  }
  return part;
}

// index: lemma pos sets pointers [symbol]... senses tagged [offset]...
// data: offset file type words(hexadecimal) [word id]...
void WordNet::add_sets(const Part& part, std::string_view lemma,
                       std::vector<std::string>& words) const {
  const std::optional<std::string_view> line = find_line(part.index.text(), lemma);
  if (!line) return;
  Fields fields(part.index, *line);
  fields.next();
  fields.next();
  const size_t sets = fields.number();
  for (size_t pointers = fields.number(); pointers > 0; --pointers) fields.next();
  fields.next();
  fields.next();
  for (size_t i = 0; i < sets; ++i) {
    const size_t offset = fields.number();
    const std::string_view data = part.data.text();
    if (offset >= data.size()) fields.fail(cat("offset ", offset, " is beyond the data"));
    Fields set(part.data, line_at(data, offset));
    if (set.number() != offset) set.fail(cat("no set at offset ", offset));
    set.next();
    set.next();
    for (size_t count = set.number(16); count > 0; --count) {
      std::string_view word = set.next();
      word = word.substr(0, word.find('('));  // "ready(p)": where an adjective may stand
      set.next();
      if (word.find('_') == word.npos) words.emplace_back(word);
    }
  }
}

std::vector<std::string> WordNet::synonyms(std::string_view word) const {
  std::vector<std::string> words;
  if (word.empty()) return words;
  for (size_t p = 0; p < parts_.size(); ++p) {
    const Part& part = parts_[p];
    add_sets(part, word, words);
    if (const auto at = part.exceptions.find(word); at != part.exceptions.end()) {
      for (const std::string& base : at->second) add_sets(part, base, words);
      continue;
    }
    for (const auto& [form, base] : kParts[p].endings)
      if (word.ends_with(form))
        add_sets(part, cat(word.substr(0, word.size() - form.size()), base), words);
  }
  return words;
}

}  // namespace nibble
