// SPDX-License-Identifier: Apache-2.0
// BLEU and NIST (Doddington, 2002) as NIST's mteval-v13a computes them, which the E2E challenge was
// scored by: words in lower case by 13a's rules; BLEU of orders to 4 with the closest reference
// length; NIST of orders to 5, where a match is worth log2 of how often its first words stand in
// all references, over how often all of it does.
#include <algorithm>
#include <array>
#include <cmath>
#include <deque>

#include "score/bleu_tokenizers.h"
#include "score/metric.h"
#include "score/ngrams.h"
#include "score/sacrebleu.h"
#include "score/words.h"

namespace nibble {
namespace {

constexpr int kBleuOrder = 4, kNistOrder = 5;

// Columns of a row.
enum : size_t {
  kClosest = 0,  // reference length, closest to the hypothesis'
  kReferenceWords,
  kReferences,
  kMatches,  // by order
  kTotals = kMatches + kNistOrder,
  kInformation = kTotals + kNistOrder,
  kWidth = kInformation + kNistOrder,
};

double nist_penalty(double ratio) {
  if (ratio >= 1.0) return 1.0;
  if (ratio <= 0.0) return 0.0;
  const double beta = -std::log(0.5) / std::log(1.5) / std::log(1.5);
  return std::exp(-beta * std::log(ratio) * std::log(ratio));
}

class MtevalMetric : public Metric {
 public:
  explicit MtevalMetric(bool lowercase) : lowercase_(lowercase) {}

  std::vector<ScoreName> scores() const override {
    return {{.name = "mteval_bleu"}, {.name = "nist"}};
  }
  MetricNeeds needs() const override { return {.all_first = true}; }
  int64_t width() const override { return kWidth; }

  void prepare(std::span<const ScoreExample> all) override {
    std::string text;
    std::vector<int32_t> ids;
    Ngrams ngrams;
    std::vector<double> counts;
    std::vector<int32_t> before;  // the n-gram without its last word; -1 for single words
    double words = 0.0;
    for (const ScoreExample& example : all)
      for (const std::string& reference : example.references) {
        tokenize(reference, text);
        ids.clear();
        for_each_word(text, [&](std::string_view word) {
          int32_t id = words_.find(word);
          if (id < 0) id = words_.add(kept_.emplace_back(word));
          ids.push_back(id);
        });
        words += static_cast<double>(ids.size());
        ngrams.read(pairs_, ids, kNistOrder);
        counts.resize(static_cast<size_t>(pairs_.size()));
        before.resize(counts.size(), -1);
        for (int n = 1; n <= kNistOrder; ++n)
          for (size_t i = 0; i < ngrams.order(n).size(); ++i) {
            const auto id = static_cast<size_t>(ngrams.order(n)[i]);
            ++counts[id];
            if (n > 1) before[id] = ngrams.order(n - 1)[i];
          }
      }
    information_.resize(counts.size());
    for (size_t i = 0; i < counts.size(); ++i) {
      const double whole = before[i] < 0 ? words : counts[static_cast<size_t>(before[i])];
      information_[i] = -std::log(counts[i] / whole) / std::log(2.0);
    }
  }

  void measure(const ScoreExample& example, std::span<double> row) const override {
    thread_local Scratch s;
    s.clip.clear();
    s.lengths.clear();
    double sum = 0.0;
    for (const std::string& reference : example.references) {
      read(reference, s);
      s.clip.add(s.ngrams.all(), pairs_.size());
      s.lengths.push_back(std::ssize(s.ids));
      sum += static_cast<double>(s.ids.size());
    }
    read(example.hypothesis, s);
    row[kClosest] = static_cast<double>(closest_length(std::ssize(s.ids), s.lengths));
    row[kReferenceWords] = sum;
    row[kReferences] = static_cast<double>(s.lengths.size());
    for (int n = 1; n <= kNistOrder; ++n) {
      const auto at = static_cast<size_t>(n - 1);
      double information = 0.0;
      row[kMatches + at] = static_cast<double>(s.clip.match(s.ngrams.order(n), [&](int32_t id) {
        information += information_[static_cast<size_t>(id)];
      }));
      row[kInformation + at] = information;
      row[kTotals + at] = static_cast<double>(s.ngrams.order(n).size());
    }
  }

  void from_sum(std::span<const double> sum, int64_t examples,
                std::span<double> scores) const override {
    scores[0] = bleu(sum);
    double nist = 0.0;
    for (size_t n = 0; n < kNistOrder; ++n)
      nist += sum[kInformation + n] / std::max(1.0, sum[kTotals + n]);
    // The mean is over references, not over examples first.
    const double length = sum[kTotals], words = sum[kReferenceWords];
    const double mean = words / sum[kReferences] * static_cast<double>(examples);
    scores[1] = nist * nist_penalty(words > 0.0 ? length / mean : 1.0);
  }

 private:
  struct Scratch {
    Clip clip;
    Ngrams ngrams;
    std::string text;
    std::vector<int32_t> ids;
    std::vector<int64_t> lengths;
  };

  static double bleu(std::span<const double> sum) {
    const double length = sum[kTotals], reference = sum[kClosest];
    if (sum[kMatches] == 0.0) return 0.0;
    double logs = 0.0, halving = 1.0;
    for (size_t n = 0; n < kBleuOrder; ++n) {
      const double match = sum[kMatches + n], total = sum[kTotals + n];
      if (total == 0.0) continue;
      logs += match > 0.0 ? std::log(match / total) : std::log(1.0 / ((halving *= 2.0) * total));
    }
    return std::exp(logs / kBleuOrder + std::min(0.0, 1.0 - reference / length));
  }

  void tokenize(std::string_view line, std::string& text) const {
    tokenize_13a(line, text);
    if (!lowercase_) return;
    for (char& c : text)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }

  void read(std::string_view line, Scratch& s) const {
    tokenize(line, s.text);
    s.ids.clear();
    for_each_word(s.text, [&](std::string_view word) { s.ids.push_back(words_.find(word)); });
    s.ngrams.look_up(pairs_, s.ids, kNistOrder);
  }

  bool lowercase_;
  std::deque<std::string> kept_;  // the words that words_ looks at
  WordIds words_;
  PairIds pairs_;
  std::vector<double> information_;  // by n-gram
};

}  // namespace

extern const MetricKind kMtevalMetric;
const MetricKind kMtevalMetric = {
    .name = "mteval",
    .help = "BLEU and NIST as mteval-v13a, the E2E challenge's",
    .options = {{"lowercase", "yes", "whether case is ignored", kYesNo}},
    .make = [](const MetricOptions& options) -> std::unique_ptr<Metric> {
      return std::make_unique<MtevalMetric>(options.flag("lowercase"));
    },
};

}  // namespace nibble
