// SPDX-License-Identifier: Apache-2.0
// BLEU (Papineni et al., 2002) as sacrebleu computes it (Post, 2018): clipped n-gram precisions,
// the closest reference length, and Chen and Cherry's smoothings 1 to 3. Single examples are scored
// with effective order, as sacrebleu does sentence by sentence.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "score/bleu_tokenizers.h"
#include "score/metric.h"
#include "score/ngrams.h"
#include "score/sacrebleu.h"
#include "score/words.h"
#include "text/jinja_utf8.h"

namespace nibble {
namespace {

enum class Smoothing : uint8_t { kNone, kExp, kFloor, kAddK };

struct BleuRules {
  std::string tokenizer, smoothing;
  Smoothing method = Smoothing::kExp;
  double value = 0.0;
  bool lowercase = false, effective_order = false;
  int order = 4;
};

class BleuMetric : public Metric {
 public:
  explicit BleuMetric(BleuRules rules)
      : rules_(std::move(rules)), tokenize_(line_tokenizer(rules_.tokenizer)) {}

  std::vector<ScoreName> scores() const override {
    std::vector<ScoreName> names = {{.name = "bleu", .decimals = 2}};
    const auto add = [&](std::string name, int decimals) {
      names.push_back(
          {.name = std::move(name), .decimals = decimals, .detail = true, .of_example = false});
    };
    for (int n = 1; n <= rules_.order; ++n) add("precision_" + std::to_string(n), 1);
    add("brevity_penalty", 3);
    add("length_ratio", 3);
    add("hypothesis_length", 0);
    add("reference_length", 0);
    return names;
  }

  // Lengths of hypothesis and closest reference, then matches and n-grams by order.
  int64_t width() const override { return 2 + 2 * rules_.order; }

  void measure(const ScoreExample& example, std::span<double> row) const override {
    thread_local Scratch s;
    s.words.clear();
    s.pairs.clear();
    s.clip.clear();
    s.lengths.clear();
    s.texts.resize(std::max(s.texts.size(), example.references.size() + 1));
    for (size_t i = 0; i < example.references.size(); ++i) {
      read(example.references[i], s.texts[i], s);
      s.ngrams.read(s.pairs, s.ids, rules_.order);
      s.clip.add(s.ngrams.all(), s.pairs.size());
      s.lengths.push_back(std::ssize(s.ids));
    }
    read(example.hypothesis, s.texts[example.references.size()], s);
    s.ngrams.look_up(s.pairs, s.ids, rules_.order);
    const int64_t length = std::ssize(s.ids);
    row[0] = static_cast<double>(length);
    row[1] = static_cast<double>(closest_length(length, s.lengths));
    const auto order = static_cast<size_t>(rules_.order);
    for (size_t n = 1; n <= order; ++n) {
      const auto ngrams = s.ngrams.order(static_cast<int>(n));
      row[1 + n] = static_cast<double>(s.clip.match(ngrams));
      row[1 + order + n] = static_cast<double>(ngrams.size());
    }
  }

  void from_sum(std::span<const double> sum, int64_t, std::span<double> scores) const override {
    compute(sum, rules_.effective_order, scores);
  }
  void from_row(std::span<const double> row, std::span<double> scores) const override {
    compute(row, true, scores);
  }

  std::string signature(const CorpusFacts& facts) const override {
    return cat(signature_start(facts), "case:", rules_.lowercase ? "lc" : "mixed",
               "|eff:", rules_.effective_order ? "yes" : "no", "|tok:", rules_.tokenizer,
               "|smooth:", rules_.smoothing, "|", kSacrebleuVersion);
  }

 private:
  struct Scratch {
    WordIds words;
    PairIds pairs;
    Clip clip;
    Ngrams ngrams;
    std::vector<std::string> texts;  // tokenized
    std::vector<int32_t> ids;
    std::vector<int64_t> lengths;
  };

  void read(std::string_view text, std::string& tokenized, Scratch& s) const {
    if (rules_.lowercase)
      tokenize_(strip_end(jinja::utf8::lower(text)), tokenized);
    else
      tokenize_(strip_end(text), tokenized);
    s.ids.clear();
    for_each_word(tokenized, [&](std::string_view word) { s.ids.push_back(s.words.add(word)); });
  }

  void compute(std::span<const double> sum, bool effective_order, std::span<double> scores) const {
    const auto order = static_cast<size_t>(rules_.order);
    const double length = sum[0], reference = sum[1];
    const auto matches = sum.subspan(2, order), totals = sum.subspan(2 + order, order);
    double penalty = 1.0;
    if (length < reference) penalty = length > 0.0 ? std::exp(1.0 - reference / length) : 0.0;
    const auto precisions = scores.subspan(1, order);
    std::ranges::fill(precisions, 0.0);
    scores[0] = 0.0;
    scores[order + 1] = penalty;
    scores[order + 2] = reference > 0.0 ? length / reference : 0.0;
    scores[order + 3] = length;
    scores[order + 4] = reference;
    if (std::ranges::all_of(matches, [](double m) { return m == 0.0; })) return;
    double halving = 1.0;
    size_t used = order;
    for (size_t n = 0; n < order; ++n) {
      const double more = rules_.method == Smoothing::kAddK && n > 0 ? rules_.value : 0.0;
      const double match = matches[n] + more, total = totals[n] + more;
      if (total == 0.0) break;
      if (effective_order) used = n + 1;
      if (match > 0.0)
        precisions[n] = 100.0 * match / total;
      else if (rules_.method == Smoothing::kExp)
        precisions[n] = 100.0 / ((halving *= 2.0) * total);
      else if (rules_.method == Smoothing::kFloor)
        precisions[n] = 100.0 * rules_.value / total;
    }
    double logs = 0.0;
    for (size_t n = 0; n < used; ++n)
      logs += precisions[n] > 0.0 ? std::log(precisions[n]) : -9999999999.0;
    scores[0] = penalty * std::exp(logs / static_cast<double>(used));
  }

  BleuRules rules_;
  LineTokenizer tokenize_;
};

std::unique_ptr<Metric> make(const MetricOptions& options) {
  BleuRules rules{.tokenizer = options.text("tokenize"),
                  .smoothing = options.text("smooth"),
                  .lowercase = options.flag("lowercase"),
                  .effective_order = options.flag("effective-order"),
                  .order = static_cast<int>(options.integer("order", 1, 16))};
  const std::string& method = rules.smoothing;
  rules.method = method == "exp"     ? Smoothing::kExp
                 : method == "floor" ? Smoothing::kFloor
                 : method == "add-k" ? Smoothing::kAddK
                                     : Smoothing::kNone;
  const bool given = !options.text("smooth-value").empty();
  if (method == "floor" || method == "add-k") {
    rules.value = given ? options.number("smooth-value", 0.0, 1e9) : method == "floor" ? 0.1 : 1.0;
    char value[32];
    std::snprintf(value, sizeof value, "[%.2f]", rules.value);
    rules.smoothing += value;
  } else if (given) {
    options.fail("smooth-value", "only smooth=floor and smooth=add-k have a value");
  }
  return std::make_unique<BleuMetric>(std::move(rules));
}

}  // namespace

extern const MetricKind kBleuMetric;
const MetricKind kBleuMetric = {
    .name = "bleu",
    .help = "BLEU of the corpus, as sacrebleu",
    .options = {{"tokenize", "13a", "tokenizer", {"13a", "intl", "char", "none"}},
                {"smooth",
                 "exp",
                 "what becomes of orders without a match",
                 {"exp", "floor", "add-k", "none"}},
                {"smooth-value", "", "for floor (0.1 if not given) and add-k (1)"},
                {"lowercase", "no", "whether case is ignored", kYesNo},
                {"effective-order", "no", "whether orders without n-grams are left out", kYesNo},
                {"order", "4", "longest n-gram"}},
    .make = make,
};

}  // namespace nibble
