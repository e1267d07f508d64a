// SPDX-License-Identifier: Apache-2.0
// Exact match and F1 of answers, in percent, as the scorers of SQuAD v1.1 and v2.0 have them: texts
// lowercased, without ASCII punctuation and articles, split at white space; the best over the
// references. In v2.0 a question may have no answer: no reference, or only empty ones; then only an
// empty prediction is right, and both kinds of questions are also scored apart.
#include <algorithm>
#include <limits>
#include <memory>

#include "score/metric.h"
#include "text/jinja_utf8.h"
#include "text/unicode.h"

namespace nibble {
namespace {

namespace utf8 = jinja::utf8;

bool is_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

// What \w means in Python.
bool is_word(char32_t code) {
  return code != kInvalidCode && (utf8::is_alpha(code) || utf8::is_decimal(code) ||
                                  utf8::is_digit(code) || utf8::is_numeric(code) || code == '_');
}

using Tokens = std::vector<std::string>;

Tokens tokens_of(std::string_view text) {
  std::string lowered = utf8::lower(text);
  std::erase_if(lowered, is_punctuation);
  // Articles are whole words; what stands around one is split by it.
  Tokens tokens(1);
  std::string word;
  const auto end_word = [&] {
    if (word == "a" || word == "an" || word == "the")
      tokens.emplace_back();
    else
      tokens.back() += word;
    word.clear();
  };
  for (size_t at = 0; at < lowered.size();) {
    const CodePoint p = read_utf8(lowered, at);
    const std::string_view bytes(&lowered[at], static_cast<size_t>(p.size));
    at += bytes.size();
    if (is_word(p.code)) {
      word += bytes;
      continue;
    }
    end_word();
    if (is_python_space(p.code))
      tokens.emplace_back();
    else
      tokens.back() += bytes;
  }
  end_word();
  std::erase_if(tokens, [](const std::string& token) { return token.empty(); });
  return tokens;
}

double f1_of(const Tokens& own, const Tokens& theirs) {
  Tokens a = own, b = theirs, common;
  std::ranges::sort(a);
  std::ranges::sort(b);
  std::ranges::set_intersection(a, b, std::back_inserter(common));
  if (common.empty()) return 0.0;
  const auto count = static_cast<double>(common.size());
  const double precision = count / static_cast<double>(a.size());
  const double recall = count / static_cast<double>(b.size());
  return 2.0 * precision * recall / (precision + recall);
}

class SquadMetric : public MeanMetric {
 public:
  std::vector<ScoreName> scores() const override { return {{"exact_match", 2}, {"f1", 2}}; }
  void measure(const ScoreExample& example, std::span<double> row) const override {
    const Tokens own = tokens_of(example.hypothesis);
    row[0] = row[1] = 0.0;
    for (const std::string& reference : example.references) {
      const Tokens theirs = tokens_of(reference);
      if (own == theirs) row[0] = 100.0;
      row[1] = std::max(row[1], 100.0 * f1_of(own, theirs));
    }
  }
};

class Squad2Metric : public Metric {
 public:
  std::vector<ScoreName> scores() const override {
    return {{"exact", 2},
            {"f1", 2},
            {.name = "has_answer_exact", .decimals = 2, .of_example = false},
            {.name = "has_answer_f1", .decimals = 2, .of_example = false},
            {.name = "no_answer_exact", .decimals = 2, .of_example = false}};
  }
  MetricNeeds needs() const override { return {.empty_list = true}; }
  // Exact, F1 and questions; of those with an answer, then of those without.
  int64_t width() const override { return 6; }

  void measure(const ScoreExample& example, std::span<double> row) const override {
    const Tokens own = tokens_of(example.hypothesis);
    std::ranges::fill(row, 0.0);
    bool answer = false;
    double exact = 0.0, f1 = 0.0;
    for (const std::string& reference : example.references) {
      const Tokens theirs = tokens_of(reference);
      if (theirs.empty()) continue;
      answer = true;
      if (own == theirs) exact = 100.0;
      f1 = std::max(f1, 100.0 * f1_of(own, theirs));
    }
    if (!answer) exact = f1 = own.empty() ? 100.0 : 0.0;
    const size_t kind = answer ? 0 : 3;
    row[kind] = exact;
    row[kind + 1] = f1;
    row[kind + 2] = 1.0;
  }

  void from_sum(std::span<const double> sum, int64_t, std::span<double> scores) const override {
    const double all = sum[2] + sum[5];  // 0 / 0 is NaN: undefined
    scores[0] = (sum[0] + sum[3]) / all;
    scores[1] = (sum[1] + sum[4]) / all;
    scores[2] = sum[0] / sum[2];
    scores[3] = sum[1] / sum[2];
    scores[4] = sum[3] / sum[5];
  }
};

template <class T>
std::unique_ptr<Metric> make(const MetricOptions&) {
  return std::make_unique<T>();
}

}  // namespace

extern const MetricKind kSquadMetric, kSquad2Metric;
const MetricKind kSquadMetric = {
    .name = "squad",
    .help = "exact match and F1 of answers, in percent, as SQuAD v1.1",
    .options = {},
    .make = make<SquadMetric>,
};
const MetricKind kSquad2Metric = {
    .name = "squad-v2",
    .help = "the same as SQuAD v2.0, with questions that have no answer",
    .options = {},
    .make = make<Squad2Metric>,
};

}  // namespace nibble
