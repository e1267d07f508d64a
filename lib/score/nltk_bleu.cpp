// SPDX-License-Identifier: Apache-2.0
#include "score/nltk_bleu.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "score/bleu_tokenizers.h"
#include "score/ngrams.h"
#include "score/sacrebleu.h"
#include "score/words.h"

namespace nibble {
namespace {

using Precisions = std::vector<double>;

void smooth_by_length(const NltkBleuRules& rules, const NltkCounts& c, Precisions& p) {
  double power = 2.0;
  for (size_t i = 0; i < p.size(); ++i) {
    if (c.matches[i] != 0.0 || !(c.length > 1.0)) continue;
    p[i] = 1.0 / (power * rules.k / std::log(c.length)) / std::max(1.0, c.totals[i]);
    power *= 2.0;
  }
}

void smooth_by_neighbours(const NltkCounts& c, Precisions& p) {
  Precisions next = p;
  next.push_back(c.matches[4] / std::max(1.0, c.totals[4]));
  double before = p[0] + 1.0;
  for (size_t i = 0; i < p.size(); ++i) before = p[i] = (before + p[i] + next[i + 1]) / 3.0;
}

void smooth_by_prior(const NltkBleuRules& rules, const NltkCounts& c, Precisions& p) {
  if (p[2] == 0.0)
    throw DataError("smooth=method6 needs a trigram that matches; use another method");
  for (size_t i = 2; i < p.size(); ++i) {
    const double prior = p[i - 2] == 0.0 ? 0.0 : p[i - 1] * p[i - 1] / p[i - 2];
    p[i] = (c.matches[i] + rules.alpha * prior) / (c.totals[i] + rules.alpha);
  }
}

void smooth(const NltkBleuRules& rules, const NltkCounts& c, Precisions& p) {
  double power = 2.0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double total = std::max(1.0, c.totals[i]);
    if (rules.method == 2 && i > 0) p[i] = (c.matches[i] + 1.0) / (total + 1.0);
    if (c.matches[i] != 0.0) continue;
    if (rules.method == 0) p[i] = std::numeric_limits<double>::min();
    if (rules.method == 1) p[i] = rules.epsilon / total;
    if (rules.method == 3) {
      p[i] = 1.0 / (power * total);
      power *= 2.0;
    }
  }
  if (rules.method == 4 || rules.method == 7) smooth_by_length(rules, c, p);
  if (rules.method == 5 || rules.method == 7) smooth_by_neighbours(c, p);
  if (rules.method == 6) smooth_by_prior(rules, c, p);
}

class NltkBleuMetric : public MeanMetric {
 public:
  NltkBleuMetric(NltkBleuRules rules, LineTokenizer tokenize)
      : rules_(std::move(rules)), tokenize_(tokenize) {}

  std::vector<ScoreName> scores() const override { return {{.name = "sentence_bleu"}}; }

  void measure(const ScoreExample& example, std::span<double> row) const override {
    thread_local Scratch s;
    s.words.clear();
    s.pairs.clear();
    s.clip.clear();
    s.lengths.clear();
    s.texts.resize(std::max(s.texts.size(), example.references.size() + 1));
    for (size_t i = 0; i < example.references.size(); ++i) {
      read(example.references[i], s.texts[i], s);
      s.ngrams.read(s.pairs, s.ids, rules_.counted());
      s.clip.add(s.ngrams.all(), s.pairs.size());
      s.lengths.push_back(std::ssize(s.ids));
    }
    read(example.hypothesis, s.texts[example.references.size()], s);
    s.ngrams.look_up(s.pairs, s.ids, rules_.counted());
    const int64_t length = std::ssize(s.ids);
    NltkCounts counts{.length = static_cast<double>(length),
                      .reference_length = static_cast<double>(closest_length(length, s.lengths))};
    for (int n = 1; n <= rules_.counted(); ++n) {
      counts.matches.push_back(static_cast<double>(s.clip.match(s.ngrams.order(n))));
      counts.totals.push_back(static_cast<double>(s.ngrams.order(n).size()));
    }
    row[0] = nltk_sentence_bleu(rules_, counts);
  }

 private:
  struct Scratch {
    WordIds words;
    PairIds pairs;
    Clip clip;
    Ngrams ngrams;
    std::vector<std::string> texts;
    std::vector<int32_t> ids;
    std::vector<int64_t> lengths;
  };

  void read(std::string_view text, std::string& tokenized, Scratch& s) const {
    tokenize_(text, tokenized);
    s.ids.clear();
    for_each_word(tokenized, [&](std::string_view word) { s.ids.push_back(s.words.add(word)); });
  }

  NltkBleuRules rules_;
  LineTokenizer tokenize_;
};

}  // namespace

double nltk_sentence_bleu(const NltkBleuRules& rules, const NltkCounts& c) {
  double penalty = 1.0;
  if (c.length <= c.reference_length)
    penalty = c.length == 0.0 ? 0.0 : std::exp(1.0 - c.reference_length / c.length);
  if (c.matches[0] == 0.0) return 0.0;
  Precisions p;
  for (size_t i = 0; i < rules.weights.size(); ++i)
    p.push_back(c.matches[i] / std::max(1.0, c.totals[i]));
  smooth(rules, c, p);
  std::vector<double> weights = rules.weights;
  if (rules.auto_reweigh && c.length < 4.0 && weights == std::vector<double>(4, 0.25))
    weights.assign(static_cast<size_t>(c.length), 1.0 / c.length);
  long double sum = 0.0L;  // NLTK's is exact
  for (size_t i = 0; i < std::min(weights.size(), p.size()); ++i)
    if (p[i] > 0.0) sum += weights[i] * std::log(p[i]);
  return penalty * std::exp(static_cast<double>(sum));
}

std::vector<MetricOption> nltk_bleu_options(std::string_view method) {
  return {
      {"smooth",
       method,
       "smoothing, as NLTK numbers them",
       {"method0", "method1", "method2", "method3", "method4", "method5", "method6", "method7"}},
      {"weights", "0.25/0.25/0.25/0.25", "of orders 1, 2, ..."},
      {"epsilon", "0.1", "of method1"},
      {"alpha", "5", "of method6"},
      {"k", "5", "of method4 and method7"},
      {"auto-reweigh", "no", "whether texts below four words use fewer orders", kYesNo},
      {"tokenize",
       "none",
       "tokenizer; none: words between white space",
       {"none", "13a", "intl", "char"}}};
}

NltkBleuRules nltk_bleu_rules(const MetricOptions& options) {
  NltkBleuRules rules{.weights = options.numbers("weights", 0.0, 1e6),
                      .method = options.text("smooth").back() - '0',
                      .epsilon = options.number("epsilon", 0.0, 1e6),
                      .alpha = options.number("alpha", 0.0, 1e6),
                      .k = options.number("k", 0.0, 1e6),
                      .auto_reweigh = options.flag("auto-reweigh")};
  if (rules.order() > 16) options.fail("weights", "more than 16");
  if (rules.method == 6 && rules.order() < 3) options.fail("weights", "method6 needs three");
  return rules;
}

extern const MetricKind kNltkBleuMetric;
const MetricKind kNltkBleuMetric = {
    .name = "nltk-bleu",
    .help = "mean of sentence BLEU, as NLTK",
    .options = nltk_bleu_options("method0"),
    .make = [](const MetricOptions& options) -> std::unique_ptr<Metric> {
      return std::make_unique<NltkBleuMetric>(nltk_bleu_rules(options),
                                              line_tokenizer(options.text("tokenize")));
    },
};

}  // namespace nibble
