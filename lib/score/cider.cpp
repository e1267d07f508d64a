// SPDX-License-Identifier: Apache-2.0
// CIDEr (Vedantam et al., 2015): how alike the n-grams of hypothesis and reference are as vectors
// of counts weighed by how few examples' references have them. The standard form is what
// pycocoevalcap 1.2 calls CIDEr, the paper's CIDEr-D: counts clipped to the reference's and a
// Gaussian penalty on lengths. The plain form has neither.
//
//   10 / (4 R) sum over references and n of  p(dl) sum_g min(h_g, r_g) r_g / (|h| |r|)
//   h_g = count(g) (log(examples) - log(max(1, examples with g in a reference)))
#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "score/coco_texts.h"
#include "score/string_map.h"
#include "text/string_table.h"
#include "text/unicode.h"

namespace nibble {
namespace {

constexpr int kLongest = 4;

// An n-gram is a number: a word's, or that of the n-gram before its last word and that word. Those
// that no reference has get numbers below zero, of their own in every example.
class NgramNumbers {
 public:
  int64_t of(int64_t prefix, int64_t last) const {
    const auto at = numbers_.find({prefix, last});
    return at == numbers_.end() ? kNone : at->second;
  }
  int64_t add(int64_t prefix, int64_t last) {
    return numbers_.emplace(std::pair(prefix, last), std::ssize(numbers_)).first->second;
  }
  int64_t size() const { return std::ssize(numbers_); }
  static constexpr int64_t kNone = INT64_MIN;

 private:
  struct Hash {
    size_t operator()(const std::pair<int64_t, int64_t>& p) const {
      return mix64(static_cast<uint64_t>(p.first), static_cast<uint64_t>(p.second));
    }
  };
  std::unordered_map<std::pair<int64_t, int64_t>, int64_t, Hash> numbers_;
};

using WordNumbers = StringMap<int64_t>;

// As Python's split().
void split(std::string_view text, auto&& use) {
  for (size_t at = 0, start = 0;;) {
    const bool end = at >= text.size();
    const CodePoint p = end ? CodePoint{} : read_utf8(text, at);
    if (end || is_python_space(p.code)) {
      if (at > start) use(text.substr(start, at - start));
      if (end) return;
      start = at + static_cast<size_t>(p.size);
    }
    at += static_cast<size_t>(p.size);
  }
}

struct Weighed {
  int64_t ngram;
  double weight;
};
struct Vector {
  std::array<std::vector<Weighed>, kLongest> weights;  // in the order of first occurrence
  std::array<double, kLongest> norm = {};
  double bigrams = 0.0;  // what counts as the length
};

class CiderMetric : public MeanMetric {
 public:
  CiderMetric(const MetricOptions& options, bool clipped) : texts_(options), clipped_(clipped) {}

  std::vector<ScoreName> scores() const override { return {{clipped_ ? "cider" : "cider_plain"}}; }
  MetricNeeds needs() const override { return {.all_first = true}; }

  void prepare(std::span<const Example> examples) override {
    texts_.prepare(examples);
    log_examples_ = std::log(static_cast<double>(examples.size()));
    std::vector<int64_t> last_seen;  // by n-gram: the last example that counted it
    int64_t number = 0;
    for (const CocoTexts::Texts& texts : texts_.all()) {
      for (const std::string& reference : texts.references) {
        std::vector<int64_t> words;
        split(reference, [&](std::string_view word) {
          const auto at = words_.find(word);
          words.push_back(at != words_.end()
                              ? at->second
                              : words_.emplace(word, std::ssize(words_)).first->second);
        });
        for (size_t i = 0; i < words.size(); ++i) {
          int64_t ngram = -1;
          for (size_t n = 0; n < kLongest && i + n < words.size(); ++n) {
            ngram = ngrams_.add(ngram, words[i + n]);
            if (ngram == std::ssize(last_seen)) {
              last_seen.push_back(-1);
              examples_with_.push_back(0.0);
            }
            if (std::exchange(last_seen[static_cast<size_t>(ngram)], number) != number)
              examples_with_[static_cast<size_t>(ngram)] += 1.0;
          }
        }
      }
      ++number;
    }
    idf_.clear();
    for (const double count : examples_with_) idf_.push_back(log_examples_ - std::log(count));
  }

  void measure(const Example& example, std::span<double> row) const override {
    const CocoTexts::Texts texts = texts_.of(example);
    const Vector own = vector_of(texts.hypothesis);
    double sum = 0.0;
    std::array<double, kLongest> by_length = {};
    for (const std::string& reference : texts.references) {
      const Vector theirs = vector_of(reference);
      for (size_t n = 0; n < kLongest; ++n) by_length[n] += similarity(own, theirs, n);
    }
    for (const double s : by_length) sum += s;
    row[0] = sum / kLongest / static_cast<double>(texts.references.size()) * 10.0;
  }

 private:
  Vector vector_of(std::string_view text) const {
    std::vector<int64_t> words;
    WordNumbers unknown_words;
    split(text, [&](std::string_view word) {
      if (const auto at = words_.find(word); at != words_.end()) {
        words.push_back(at->second);
        return;
      }
      words.push_back(unknown_words.emplace(word, -2 - std::ssize(unknown_words)).first->second);
    });
    // (n-gram, where it starts), then counts, then back in the order of the first.
    Vector v;
    NgramNumbers unknown;
    std::vector<int64_t> ngrams(words.size(), -1);
    std::vector<std::pair<int64_t, size_t>> places;
    for (size_t n = 0; n < kLongest && n < words.size(); ++n) {
      places.clear();
      for (size_t i = 0; i + n < words.size(); ++i) {
        int64_t& ngram = ngrams[i];
        const int64_t prefix = ngram, last = words[i + n];
        ngram = prefix >= -1 && last >= 0 ? ngrams_.of(prefix, last) : NgramNumbers::kNone;
        if (ngram == NgramNumbers::kNone) ngram = -2 - unknown.add(prefix, last);
        places.emplace_back(ngram, i);
      }
      std::ranges::sort(places);
      std::vector<std::pair<size_t, Weighed>> counted;
      for (size_t i = 0; i < places.size();) {
        size_t end = i;
        while (end < places.size() && places[end].first == places[i].first) ++end;
        const double idf =
            places[i].first >= 0 ? idf_[static_cast<size_t>(places[i].first)] : log_examples_;
        counted.push_back(
            {places[i].second, {places[i].first, static_cast<double>(end - i) * idf}});
        i = end;
      }
      std::ranges::sort(counted, {}, [](const auto& c) { return c.first; });
      for (const auto& [place, weighed] : counted) {
        v.weights[n].push_back(weighed);
        v.norm[n] += weighed.weight * weighed.weight;
      }
      v.norm[n] = std::sqrt(v.norm[n]);
      if (n == 1) v.bigrams = static_cast<double>(places.size());
    }
    return v;
  }

  double similarity(const Vector& own, const Vector& theirs, size_t n) const {
    std::vector<Weighed> sorted = theirs.weights[n];
    std::ranges::sort(sorted, {}, &Weighed::ngram);
    double sum = 0.0;
    for (const Weighed& w : own.weights[n]) {
      if (w.ngram < 0) continue;
      const auto at = std::ranges::lower_bound(sorted, w.ngram, {}, &Weighed::ngram);
      if (at == sorted.end() || at->ngram != w.ngram) continue;
      sum += (clipped_ ? std::min(w.weight, at->weight) : w.weight) * at->weight;
    }
    if (own.norm[n] != 0.0 && theirs.norm[n] != 0.0) sum /= own.norm[n] * theirs.norm[n];
    if (!clipped_) return sum;
    constexpr double kSigma = 6.0;
    const double delta = own.bigrams - theirs.bigrams;
    return sum * std::exp(-(delta * delta) / (2.0 * kSigma * kSigma));
  }

  CocoTexts texts_;
  bool clipped_;
  double log_examples_ = 0.0;
  WordNumbers words_;
  NgramNumbers ngrams_;
  std::vector<double> examples_with_, idf_;  // by n-gram
};

template <bool kClipped>
std::unique_ptr<Metric> make(const MetricOptions& options) {
  return std::make_unique<CiderMetric>(options, kClipped);
}

}  // namespace

extern const MetricKind kCiderMetric, kCiderPlainMetric;
const MetricKind kCiderMetric = {
    .name = "cider",
    .help = "CIDEr-D: what pycocoevalcap 1.2, and with it the E2E challenge, calls CIDEr",
    .options = {coco_tokenize_option()},
    .make = make<true>,
};
const MetricKind kCiderPlainMetric = {
    .name = "cider-plain",
    .help = "CIDEr without CIDEr-D's clipping and length penalty",
    .options = {coco_tokenize_option()},
    .make = make<false>,
};

}  // namespace nibble
