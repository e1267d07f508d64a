// SPDX-License-Identifier: Apache-2.0
// METEOR as NLTK has it: words between white space, lowercased, matched as they are, then by stem,
// then by WordNet's synonyms; the best score over the references (Lavie and Agarwal, 2007).
//
//   P R / (0.9 P + 0.1 R) (1 - 0.5 (chunks / matches)^3)
#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "score/metric.h"
#include "score/ngrams.h"
#include "score/porter.h"
#include "score/wordnet.h"
#include "score/words.h"
#include "text/jinja_utf8.h"

namespace nibble {
namespace {

struct Word {
  size_t at;  // its place in the text
  std::string text;
};
using Words = std::vector<Word>;
using Matches = std::vector<std::pair<size_t, size_t>>;

// Words between white space, in lower case, numbered.
void number(std::string_view text, WordIds& ids, std::string& lowered,
            std::vector<int32_t>& words) {
  lowered.assign(text);
  if (std::ranges::all_of(text, [](char c) { return (c & 0x80) == 0; }))
    for (char& c : lowered) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
  else
    lowered = jinja::utf8::lower(text);
  words.clear();
  for_each_word(lowered, [&](std::string_view word) { words.push_back(ids.add(word)); });
}

// One text after another, compared by numbers.
struct Comparison {
  WordIds ids;
  std::deque<std::string> texts;  // that the numbered words point into
  size_t used = 0;
  std::vector<int32_t> own, theirs;
  std::vector<int32_t> last,
      before;  // by word, its last place that is left; by place, the one before

  void begin(std::string_view hypothesis) {
    ids.clear();
    used = 0;
    read(hypothesis, own);
  }
  void read(std::string_view text, std::vector<int32_t>& words) {
    if (used == texts.size()) texts.emplace_back();
    number(text, ids, texts[used++], words);
  }

  // Matches equal words from the end; gives what is left of both.
  void match_equal(Matches& matches, Words& hypothesis, Words& reference) {
    last.assign(static_cast<size_t>(ids.size()), -1);
    before.resize(theirs.size());
    for (size_t j = 0; j < theirs.size(); ++j)
      before[j] = std::exchange(last[static_cast<size_t>(theirs[j])], static_cast<int32_t>(j));
    constexpr int32_t kMatched = -2;
    for (size_t i = own.size(); i-- > 0;) {
      int32_t& place = last[static_cast<size_t>(own[i])];
      if (place < 0) {
        hypothesis.push_back({i, std::string(ids[own[i]])});
        continue;
      }
      const auto j = static_cast<size_t>(place);
      matches.emplace_back(i, j);
      place = std::exchange(before[j], kMatched);
    }
    std::ranges::reverse(hypothesis);
    for (size_t j = 0; j < theirs.size(); ++j)
      if (before[j] != kMatched) reference.push_back({j, std::string(ids[theirs[j]])});
  }
};

// From the last word of the hypothesis to the first, each takes the last word of the reference that
// is left and is in candidates(word). What is matched is taken out of both.
void match(Words& hypothesis, Words& reference, Matches& matches, auto&& candidates) {
  StringMap<std::vector<size_t>> places;
  for (size_t j = 0; j < reference.size(); ++j) places[reference[j].text].push_back(j);
  std::vector<bool> own_matched(hypothesis.size()), their_matched(reference.size());
  for (size_t i = hypothesis.size(); i-- > 0;) {
    std::vector<size_t>* best = nullptr;
    candidates(hypothesis[i].text, [&](std::string_view candidate) {
      const auto at = places.find(candidate);
      if (at == places.end() || at->second.empty()) return;
      if (best == nullptr || at->second.back() > best->back()) best = &at->second;
    });
    if (best == nullptr) continue;
    matches.emplace_back(hypothesis[i].at, reference[best->back()].at);
    own_matched[i] = their_matched[best->back()] = true;
    best->pop_back();
  }
  const auto drop = [](Words& words, const std::vector<bool>& matched) {
    size_t i = 0;
    std::erase_if(words, [&](const Word&) { return matched[i++]; });
  };
  drop(hypothesis, own_matched);
  drop(reference, their_matched);
}

class NltkMeteorMetric : public MeanMetric {
 public:
  explicit NltkMeteorMetric(const MetricOptions& options)
      : wordnet_(options.text("wordnet")),
        alpha_(options.number("alpha", 0.0, 1.0)),
        beta_(options.number("beta", 0.0, 100.0)),
        gamma_(options.number("gamma", 0.0, 1.0)) {}

  std::vector<ScoreName> scores() const override { return {{"meteor_nltk"}}; }

  void measure(const ScoreExample& example, std::span<double> row) const override {
    thread_local Comparison comparison;
    comparison.begin(example.hypothesis);
    row[0] = 0.0;
    for (const std::string& reference : example.references) {
      comparison.read(reference, comparison.theirs);
      row[0] = std::max(row[0], score(comparison));
    }
  }

 private:
  double score(Comparison& comparison) const {
    const auto own = static_cast<double>(comparison.own.size());
    const auto theirs = static_cast<double>(comparison.theirs.size());
    Matches matches;
    Words hypothesis, reference;
    comparison.match_equal(matches, hypothesis, reference);
    const auto itself = [](const std::string& word, auto&& use) { use(word); };
    if (!hypothesis.empty() && !reference.empty()) {
      for (Words* words : {&hypothesis, &reference})
        for (Word& word : *words) word.text = porter_stem(word.text);
      match(hypothesis, reference, matches, itself);
    }
    // What is left stays stemmed, as NLTK has it.
    if (!hypothesis.empty() && !reference.empty())
      match(hypothesis, reference, matches, [&](const std::string& word, auto&& use) {
        use(word);
        for (const std::string& synonym : synonyms_of(word)) use(synonym);
      });
    if (matches.empty()) return 0.0;
    const auto count = static_cast<double>(matches.size());
    const double precision = count / own, recall = count / theirs;
    const double mean = precision * recall / (alpha_ * precision + (1.0 - alpha_) * recall);
    std::ranges::sort(matches);
    double chunks = 1.0;
    for (size_t i = 1; i < matches.size(); ++i)
      chunks += matches[i].first != matches[i - 1].first + 1 ||
                matches[i].second != matches[i - 1].second + 1;
    return (1.0 - gamma_ * std::pow(chunks / count, beta_)) * mean;
  }

  const std::vector<std::string>& synonyms_of(const std::string& word) const {
    {
      const std::shared_lock lock(mutex_);
      if (const auto at = synonyms_.find(word); at != synonyms_.end()) return at->second;
    }
    std::vector<std::string> found = wordnet_.synonyms(word);
    std::ranges::sort(found);
    found.erase(std::unique(found.begin(), found.end()), found.end());
    const std::unique_lock lock(mutex_);
    return synonyms_.emplace(word, std::move(found)).first->second;
  }

  WordNet wordnet_;
  double alpha_, beta_, gamma_;
  mutable std::shared_mutex mutex_;
  mutable StringMap<std::vector<std::string>> synonyms_;  // by word; values never move
};

}  // namespace

extern const MetricKind kNltkMeteorMetric;
const MetricKind kNltkMeteorMetric = {
    .name = "meteor-nltk",
    .help = "METEOR as NLTK's meteor_score, over words between white space",
    .options =
        {
            {"wordnet", "/usr/share/wordnet", "folder of WordNet 3.0's database (wordnet-base)"},
            {"alpha", "0.9", "weight of precision against recall"},
            {"beta", "3", "exponent of the penalty on chunks"},
            {"gamma", "0.5", "weight of that penalty"},
        },
    .make = [](const MetricOptions& options) -> std::unique_ptr<Metric> {
      return std::make_unique<NltkMeteorMetric>(options);
    },
};

}  // namespace nibble
