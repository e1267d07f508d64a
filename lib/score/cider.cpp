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
#include <numeric>

#include "score/coco_texts.h"
#include "score/ngrams.h"
#include "score/words.h"

namespace nibble {
namespace {

constexpr int kLongest = 4;

struct Weighed {
  int32_t ngram;
  double weight;
};
struct Vector {
  std::array<std::vector<Weighed>, kLongest> weights;  // in the order of n-grams' numbers
  std::array<double, kLongest> norm = {};
  double bigrams = 0.0;  // what counts as the length
};

class CiderMetric : public MeanMetric {
 public:
  CiderMetric(const MetricOptions& options, bool clipped) : texts_(options), clipped_(clipped) {}

  std::vector<ScoreName> scores() const override { return {{clipped_ ? "cider" : "cider_plain"}}; }
  MetricNeeds needs() const override { return {.all_first = true}; }

  void prepare(std::span<const ScoreExample> examples) override {
    texts_.prepare(examples);
    log_examples_ = std::log(static_cast<double>(examples.size()));
    std::vector<double> examples_with;  // by n-gram
    std::vector<size_t> last_seen;      // likewise: the last example that was counted
    std::vector<int32_t> words;
    for (size_t e = 0; e < texts_.all().size(); ++e) {
      for (const std::string& reference : texts_.all()[e].references) {
        words.clear();
        for_each_word(reference, [&](std::string_view word) { words.push_back(words_.add(word)); });
        for (size_t i = 0; i < words.size(); ++i) {
          int32_t ngram = kNone;
          for (size_t n = 0; n < kLongest && i + n < words.size(); ++n) {
            ngram = ngrams_.add(ngram + 1, words[i + n]);
            const auto at = static_cast<size_t>(ngram);
            if (at == last_seen.size()) {
              last_seen.push_back(texts_.all().size());
              examples_with.push_back(0.0);
            }
            if (std::exchange(last_seen[at], e) != e) examples_with[at] += 1.0;
          }
        }
      }
    }
    for (const double count : examples_with) idf_.push_back(log_examples_ - std::log(count));
  }

  void measure(const ScoreExample& example, std::span<double> row) const override {
    const CocoTexts::Texts texts = texts_.of(example);
    const Vector own = vector_of(texts.hypothesis);
    std::array<double, kLongest> sums = {};
    for (const std::string& reference : texts.references) {
      const Vector theirs = vector_of(reference);
      for (size_t n = 0; n < kLongest; ++n) sums[n] += similarity(own, theirs, n);
    }
    const double sum = std::accumulate(sums.begin(), sums.end(), 0.0);
    row[0] = sum / kLongest / static_cast<double>(texts.references.size()) * 10.0;
  }

 private:
  static constexpr int32_t kNone = -1;

  Vector vector_of(std::string_view text) const {
    // Words and n-grams that no reference has are numbered behind those of the references.
    thread_local WordIds unknown_words;
    thread_local PairIds unknown;
    thread_local std::vector<int32_t> words, ngrams;
    unknown_words.clear();
    unknown.clear();
    words.clear();
    for_each_word(text, [&](std::string_view word) {
      const int32_t known = words_.find(word);
      words.push_back(known != kNone ? known : words_.size() + unknown_words.add(word));
    });
    Vector v;
    ngrams.assign(words.size(), kNone);
    for (size_t n = 0; n < kLongest && n < words.size(); ++n) {
      const size_t count = words.size() - n;
      std::vector<Weighed>& weights = v.weights[n];
      for (size_t i = 0; i < count; ++i) {
        const int32_t known = ngrams_.find(ngrams[i] + 1, words[i + n]);
        ngrams[i] =
            known != kNone ? known : ngrams_.size() + unknown.add(ngrams[i] + 1, words[i + n]);
        weights.push_back({ngrams[i], 1.0});
      }
      std::ranges::sort(weights, {}, &Weighed::ngram);
      size_t kept = 0;
      for (const Weighed& w : weights) {
        if (kept > 0 && weights[kept - 1].ngram == w.ngram)
          weights[kept - 1].weight += 1.0;
        else
          weights[kept++] = w;
      }
      weights.resize(kept);
      for (Weighed& w : weights)
        w.weight *= w.ngram < ngrams_.size() ? idf_[static_cast<size_t>(w.ngram)] : log_examples_;
      for (const Weighed& w : weights) v.norm[n] += w.weight * w.weight;
      v.norm[n] = std::sqrt(v.norm[n]);
      if (n == 1) v.bigrams = static_cast<double>(count);
    }
    return v;
  }

  // Both sides' n-grams are in the order of their numbers.
  double similarity(const Vector& own, const Vector& theirs, size_t n) const {
    double sum = 0.0;
    auto at = theirs.weights[n].begin();
    for (const Weighed& w : own.weights[n]) {
      while (at != theirs.weights[n].end() && at->ngram < w.ngram) ++at;
      if (at == theirs.weights[n].end() || w.ngram >= ngrams_.size()) break;
      if (at->ngram == w.ngram)
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
  WordIds words_;
  PairIds ngrams_;           // of an n-gram's number, or -1, and a word's
  std::vector<double> idf_;  // by n-gram of the references
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
