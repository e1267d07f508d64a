// SPDX-License-Identifier: Apache-2.0
// How much a system repeats itself: distinct-n (Li et al., 2016), the different n-grams of all
// hypotheses over all of their n-grams; and self-BLEU (Zhu et al., 2018), the mean of NLTK's
// sentence BLEU of each hypothesis against all others.
#include <algorithm>
#include <deque>
#include <utility>

#include "base/error.h"
#include "base/threads.h"
#include "score/bleu_tokenizers.h"
#include "score/distinct_ngrams.h"
#include "score/ngrams.h"
#include "score/nltk_bleu.h"
#include "score/sacrebleu.h"
#include "score/words.h"

namespace nibble {
namespace {

// The words of hypotheses, by number.
class Hypotheses {
 public:
  Hypotheses(std::span<const ScoreExample> all, LineTokenizer tokenize)
      : texts_(all.size()), ids_(all.size()) {
    for (size_t i = 0; i < all.size(); ++i) {
      tokenize(all[i].hypothesis, texts_[i]);
      for_each_word(texts_[i], [&](std::string_view word) { ids_[i].push_back(words_.add(word)); });
    }
  }
  size_t size() const { return ids_.size(); }
  std::span<const int32_t> operator[](size_t i) const { return ids_[i]; }

 private:
  std::vector<std::string> texts_;
  std::vector<std::vector<int32_t>> ids_;
  WordIds words_;
};

// Words of texts, numbered as they come.
class TextNumbers {
 public:
  explicit TextNumbers(LineTokenizer tokenize) : tokenize_(tokenize) {}

  void add(std::string_view text) {
    tokenize_(text, line_);
    for_each_word(line_, [&](std::string_view word) {
      const int32_t known = ids_.find(word);
      numbered_.words.push_back(known >= 0 ? known : ids_.add(words_.emplace_back(word)));
    });
    numbered_.ends.push_back(numbered_.words.size());
    numbered_.different = ids_.size();
  }
  const NumberedTexts& numbered() const { return numbered_; }

 private:
  LineTokenizer tokenize_;
  std::string line_;
  std::deque<std::string> words_;  // that ids_ has views of
  WordIds ids_;
  NumberedTexts numbered_;
};

class DistinctMetric : public Metric {
 public:
  DistinctMetric(int most, LineTokenizer tokenize) : most_(most), tokenize_(tokenize) {}

  std::vector<ScoreName> scores() const override {
    std::vector<ScoreName> names;
    for (int n = 1; n <= most_; ++n) names.push_back({.name = cat("distinct", n)});
    return names;
  }
  MetricNeeds needs() const override {
    return {.references = false, .empty_list = true, .all_first = true};
  }
  int64_t width() const override { return most_; }
  bool adds_up() const override { return false; }
  bool resamples() const override { return false; }

  bool prepares_all() const override { return true; }

  void prepare(std::span<const ScoreExample> all) override {
    TextNumbers texts(tokenize_);
    for (const ScoreExample& example : all) texts.add(example.hypothesis);
    corpus_.resize(static_cast<size_t>(most_));
    DistinctNgrams ngrams;
    score(ngrams, texts, corpus_);
  }
  void measure(const ScoreExample& example, std::span<double> row) const override {
    thread_local DistinctNgrams ngrams;
    TextNumbers text(tokenize_);
    text.add(example.hypothesis);
    score(ngrams, text, row);
  }
  void from_rows(const Rows&, std::span<const int32_t>, std::span<double> scores) const override {
    std::ranges::copy(corpus_, scores.begin());
  }
  void from_row(std::span<const double> row, std::span<double> scores) const override {
    std::ranges::copy(row, scores.begin());
  }

 private:
  // NaN where there are no n-grams.
  void score(DistinctNgrams& ngrams, const TextNumbers& texts, std::span<double> scores) const {
    const std::vector<NgramCounts> counts = ngrams.count(texts.numbered(), most_);
    for (size_t n = 0; n < scores.size(); ++n) scores[n] = counts[n].different / counts[n].all;
  }

  int most_;
  LineTokenizer tokenize_;
  std::vector<double> corpus_;
};

// How often an n-gram stands in the hypothesis that has it most often, and in the next one.
struct Most {
  int32_t first = 0, second = 0, whose = -1;
};

class SelfBleuMetric : public MeanMetric {
 public:
  SelfBleuMetric(NltkBleuRules rules, LineTokenizer tokenize)
      : rules_(std::move(rules)), tokenize_(tokenize) {}

  std::vector<ScoreName> scores() const override {
    return {{.name = "self_bleu", .less_is_better = true}};
  }
  MetricNeeds needs() const override {
    return {.references = false, .empty_list = true, .all_first = true};
  }
  bool resamples() const override { return false; }

  void prepare(std::span<const ScoreExample> all) override {
    if (all.size() < 2) throw DataError("self-bleu needs two hypotheses or more");
    all_ = all;
    const Hypotheses texts(all, tokenize_);
    std::vector<std::pair<int64_t, int64_t>> lengths;
    PairIds ids;
    std::vector<Most> most;
    std::vector<int32_t> count;
    Ngrams ngrams;
    for (size_t i = 0; i < texts.size(); ++i) {
      lengths.emplace_back(std::ssize(texts[i]), static_cast<int64_t>(i));
      ngrams.read(ids, texts[i], rules_.counted());
      most.resize(static_cast<size_t>(ids.size()));
      count.resize(most.size());
      for (const int32_t id : ngrams.all()) ++count[static_cast<size_t>(id)];
      for (const int32_t id : ngrams.all()) {
        const int32_t here = std::exchange(count[static_cast<size_t>(id)], 0);
        Most& m = most[static_cast<size_t>(id)];
        if (here > m.first)
          m = {here, m.first, static_cast<int32_t>(i)};
        else
          m.second = std::max(m.second, here);
      }
    }
    std::ranges::sort(lengths);
    scores_.resize(texts.size());
    parallel_for(std::ssize(scores_), 64, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
        scores_[i] = score(texts[i], static_cast<int32_t>(i), ids, most, lengths);
    });
  }

  void measure(const ScoreExample& example, std::span<double> row) const override {
    row[0] = scores_[static_cast<size_t>(&example - all_.data())];
  }

 private:
  double score(std::span<const int32_t> words, int32_t own, const PairIds& ids,
               std::span<const Most> most,
               std::span<const std::pair<int64_t, int64_t>> lengths) const {
    thread_local std::vector<int32_t> used;
    used.resize(std::max(used.size(), most.size()));
    Ngrams ngrams;
    ngrams.look_up(ids, words, rules_.counted());
    NltkCounts counts{.length = static_cast<double>(words.size()),
                      .reference_length = closest_other(std::ssize(words), own, lengths)};
    for (int n = 1; n <= rules_.counted(); ++n) {
      double matches = 0.0;
      for (const int32_t id : ngrams.order(n)) {
        const Most& m = most[static_cast<size_t>(id)];
        matches += used[static_cast<size_t>(id)]++ < (m.whose == own ? m.second : m.first);
      }
      counts.matches.push_back(matches);
      counts.totals.push_back(static_cast<double>(ngrams.order(n).size()));
    }
    for (const int32_t id : ngrams.all()) used[static_cast<size_t>(id)] = 0;
    return nltk_sentence_bleu(rules_, counts);
  }

  // Of sorted lengths: the one closest to `length` but its own, the shorter of two.
  static double closest_other(int64_t length, int64_t own,
                              std::span<const std::pair<int64_t, int64_t>> lengths) {
    const auto at = std::ranges::lower_bound(lengths, std::pair(length, own));
    const int64_t below = at == lengths.begin() ? -1 : (at - 1)->first;
    const int64_t above = at + 1 == lengths.end() ? -1 : (at + 1)->first;
    if (below < 0) return static_cast<double>(above);
    if (above < 0) return static_cast<double>(below);
    return static_cast<double>(length - below <= above - length ? below : above);
  }

  NltkBleuRules rules_;
  LineTokenizer tokenize_;
  std::span<const ScoreExample> all_;
  std::vector<double> scores_;
};

}  // namespace

extern const MetricKind kDistinctMetric, kSelfBleuMetric;
const MetricKind kDistinctMetric = {
    .name = "distinct",
    .help = "different n-grams of all hypotheses over all n-grams",
    .options = {{"order", "4", "longest n-gram"},
                {"tokenize",
                 "none",
                 "tokenizer; none: words between white space",
                 {"none", "13a", "intl", "char"}}},
    .make = [](const MetricOptions& options) -> std::unique_ptr<Metric> {
      return std::make_unique<DistinctMetric>(static_cast<int>(options.integer("order", 1, 16)),
                                              line_tokenizer(options.text("tokenize")));
    },
};
const MetricKind kSelfBleuMetric = {
    .name = "self-bleu",
    .help = "mean of NLTK's sentence BLEU of hypotheses against all others; less is more diverse",
    .options = nltk_bleu_options("method1"),
    .make = [](const MetricOptions& options) -> std::unique_ptr<Metric> {
      return std::make_unique<SelfBleuMetric>(nltk_bleu_rules(options),
                                              line_tokenizer(options.text("tokenize")));
    },
};

}  // namespace nibble
