// SPDX-License-Identifier: Apache-2.0
// chrF (Popović, 2015) and chrF++ (Popović, 2017) as sacrebleu computes them: F-scores of
// character n-grams, and word n-grams for chrF++, averaged over the orders that both sides have; of
// several references the one with the best F counts.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "score/metric.h"
#include "score/ngrams.h"
#include "score/sacrebleu.h"
#include "score/words.h"
#include "text/jinja_utf8.h"

namespace nibble {
namespace {

struct ChrfRules {
  std::string name;
  int characters = 6, words = 0, beta = 2;
  bool lowercase = false, whitespace = false, epsilon = false;
  int orders() const { return characters + words; }
};

bool is_ascii_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

// Words with one mark of punctuation split off, at the end or else at the start.
template <class Use>
void for_each_split_word(std::string_view text, Use use) {
  for_each_word(text, [&](std::string_view word) {
    const bool one = static_cast<size_t>(read_utf8(word, 0).size) == word.size();
    const size_t last = word.size() - 1;
    if (!one && is_ascii_punctuation(word[last])) {
      use(word.substr(0, last));
      use(word.substr(last));
    } else if (!one && is_ascii_punctuation(word[0])) {
      use(word.substr(0, 1));
      use(word.substr(1));
    } else {
      use(word);
    }
  });
}

class ChrfMetric : public Metric {
 public:
  explicit ChrfMetric(ChrfRules rules) : rules_(std::move(rules)) {}

  std::vector<ScoreName> scores() const override { return {{.name = rules_.name, .decimals = 2}}; }

  // For every order: n-grams of the hypothesis, of the reference, matches.
  int64_t width() const override { return 3 * rules_.orders(); }

  void measure(const ScoreExample& example, std::span<double> row) const override {
    thread_local Scratch s;
    s.letters.clear();
    s.pairs.clear();
    s.words.clear();
    s.word_pairs.clear();
    std::string lowered;
    std::vector<std::string> lowered_references;
    std::string_view hypothesis = example.hypothesis;
    if (rules_.lowercase) {
      lowered = jinja::utf8::lower(hypothesis);
      hypothesis = lowered;
      for (const std::string& reference : example.references)
        lowered_references.push_back(jinja::utf8::lower(reference));
    }
    const std::vector<std::string>& references =
        rules_.lowercase ? lowered_references : example.references;
    read(hypothesis, s, s.hypothesis);
    double best = -1.0;
    std::vector<double> stats(row.size());
    for (const std::string& reference : references) {
      read(reference, s, s.reference);
      compare(s, stats);
      const double f = score(stats);
      if (f > best) {
        best = f;
        std::ranges::copy(stats, row.begin());
      }
    }
  }

  void from_sum(std::span<const double> sum, int64_t, std::span<double> scores) const override {
    scores[0] = score(sum);
  }

  std::string signature(const CorpusFacts& facts) const override {
    return cat(signature_start(facts), "case:", rules_.lowercase ? "lc" : "mixed",
               "|eff:", rules_.epsilon ? "no" : "yes", "|nc:", rules_.characters,
               "|nw:", rules_.words, "|space:", rules_.whitespace ? "yes" : "no", "|",
               kSacrebleuVersion);
  }

 private:
  struct Text {
    Ngrams characters, words;
  };
  struct Scratch {
    PairIds letters, pairs, word_pairs;  // letters: code points by number
    WordIds words;
    Clip clip, word_clip;
    Text hypothesis, reference;
    std::vector<int32_t> ids;
  };

  void read(std::string_view text, Scratch& s, Text& out) const {
    s.ids.clear();
    for (size_t at = 0; at < text.size();) {
      const size_t space = rules_.whitespace ? 0 : space_at(text, at);
      if (space > 0) {
        at += space;
        continue;
      }
      const CodePoint p = read_utf8(text, at);
      s.ids.push_back(static_cast<int32_t>(p.code));
      at += static_cast<size_t>(p.size);
    }
    out.characters.read(s.pairs, s.ids, rules_.characters);
    if (rules_.words == 0) return;
    s.ids.clear();
    for_each_split_word(text, [&](std::string_view word) { s.ids.push_back(s.words.add(word)); });
    out.words.read(s.word_pairs, s.ids, rules_.words);
  }

  void compare(Scratch& s, std::span<double> stats) const {
    size_t at = 0;
    const auto fill = [&](Clip& clip, const Ngrams& own, const Ngrams& theirs, int32_t ids,
                          int orders) {
      clip.clear();
      clip.add(theirs.all(), ids);
      for (int n = 1; n <= orders; ++n, at += 3) {
        const auto reference = static_cast<double>(theirs.order(n).size());
        stats[at] = reference > 0.0 ? static_cast<double>(own.order(n).size()) : 0.0;
        stats[at + 1] = reference;
        stats[at + 2] = static_cast<double>(clip.match(own.order(n)));
      }
    };
    fill(s.clip, s.hypothesis.characters, s.reference.characters, s.pairs.size(),
         rules_.characters);
    if (rules_.words > 0)
      fill(s.word_clip, s.hypothesis.words, s.reference.words, s.word_pairs.size(), rules_.words);
  }

  double score(std::span<const double> stats) const {
    constexpr double kEpsilon = 1e-16;
    const double factor = rules_.beta * rules_.beta;
    double sum = 0.0, precision = 0.0, recall = 0.0;
    int effective = 0;
    for (size_t at = 0; at < stats.size(); at += 3) {
      const double own = stats[at], theirs = stats[at + 1], match = stats[at + 2];
      const double p = own > 0.0 ? match / own : kEpsilon;
      const double r = theirs > 0.0 ? match / theirs : kEpsilon;
      const double denominator = factor * p + r;
      sum += denominator > 0.0 ? (1.0 + factor) * p * r / denominator : kEpsilon;
      if (own > 0.0 && theirs > 0.0) {
        precision += p;
        recall += r;
        ++effective;
      }
    }
    if (rules_.epsilon) return 100.0 * sum / rules_.orders();
    if (effective == 0) return 0.0;
    precision /= effective;
    recall /= effective;
    if (precision + recall == 0.0) return 0.0;
    return 100.0 * ((1.0 + factor) * precision * recall / (factor * precision + recall));
  }

  ChrfRules rules_;
};

std::unique_ptr<Metric> make(const MetricOptions& options, int words, std::string name) {
  ChrfRules rules{.name = std::move(name),
                  .characters = static_cast<int>(options.integer("char-order", 1, 64)),
                  .words = words,
                  .beta = static_cast<int>(options.integer("beta", 0, 1000)),
                  .lowercase = options.flag("lowercase"),
                  .whitespace = options.flag("whitespace"),
                  .epsilon = options.flag("eps-smoothing")};
  return std::make_unique<ChrfMetric>(std::move(rules));
}

std::vector<MetricOption> options() {
  return {{"char-order", "6", "longest n-gram of characters"},
          {"beta", "2", "weight of recall beside precision"},
          {"lowercase", "no", "whether case is ignored", kYesNo},
          {"whitespace", "no", "whether white space counts", kYesNo},
          {"eps-smoothing", "no", "chrF++.py's smoothing instead of effective order", kYesNo}};
}

std::vector<MetricOption> options_of_words() {
  std::vector<MetricOption> all = options();
  all.push_back({"word-order", "2", "longest n-gram of words"});
  return all;
}

}  // namespace

extern const MetricKind kChrfMetric, kChrfWordsMetric;
const MetricKind kChrfMetric = {
    .name = "chrf",
    .help = "chrF, as sacrebleu",
    .options = options(),
    .make = [](const MetricOptions& given) { return make(given, 0, "chrf"); },
};
const MetricKind kChrfWordsMetric = {
    .name = "chrf++",
    .help = "chrF++, as sacrebleu",
    .options = options_of_words(),
    .make =
        [](const MetricOptions& given) {
          return make(given, static_cast<int>(given.integer("word-order", 0, 16)), "chrf++");
        },
};

}  // namespace nibble
