// SPDX-License-Identifier: Apache-2.0
// Exact match and F1 of answers (squad_answer.h), in percent; the best over the references.
//
// In SQuAD v2.0 a question may have no answer: no reference, or only empty ones; then only an empty
// prediction is right, and both kinds of questions are also scored apart. Where predictions carry
// the probability that there is no answer, an answer whose probability is above the threshold
// counts as none; and the best scores that any threshold reaches, with that threshold, are told
// too, as the publisher's script finds them: going through the questions by rising probability,
// from all of them unanswered on.
#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "score/example_record.h"
#include "score/squad_answer.h"

namespace nibble {
namespace {

class SquadMetric : public MeanMetric {
 public:
  std::vector<ScoreName> scores() const override { return {{"exact_match", 2}, {"f1", 2}}; }
  void measure(const ScoreExample& example, std::span<double> row) const override {
    SquadAnswer& answer = squad_answer(example.hypothesis);
    row[0] = row[1] = 0.0;
    for (const std::string& reference : example.references) {
      answer.read(reference);
      if (answer.exact()) row[0] = 100.0;
      row[1] = std::max(row[1], 100.0 * answer.f1());
    }
  }
};

// Numbers of a row.
enum Column : size_t {
  kExact,  // of questions with an answer, as kF1 and kCount; then the same of those without
  kF1,
  kCount,
  kNoExact,
  kNoF1,
  kNoCount,
  kColumns,
  kProbability = kColumns,  // what thresholds are found from
  kRawExact,
  kRawF1,
  kAnswerable,
  kAnswered,
  kAllColumns,
};

class Squad2Metric : public Metric {
 public:
  explicit Squad2Metric(const MetricOptions& options)
      : field_(options.text("na-prob")), threshold_(options.number("threshold", -1e300, 1e300)) {}

  std::vector<ScoreName> scores() const override {
    std::vector<ScoreName> names = {
        {"exact", 2},
        {"f1", 2},
        {.name = "has_answer_exact", .decimals = 2, .of_example = false},
        {.name = "has_answer_f1", .decimals = 2, .of_example = false},
        {.name = "no_answer_exact", .decimals = 2, .of_example = false}};
    if (!field_.empty())
      for (const char* name :
           {"best_exact", "best_exact_threshold", "best_f1", "best_f1_threshold"})
        names.push_back({.name = name, .decimals = 2, .of_example = false});
    return names;
  }
  MetricNeeds needs() const override { return {.empty_list = true, .records = !field_.empty()}; }
  int64_t width() const override {
    return static_cast<int64_t>(field_.empty() ? kColumns : kAllColumns);
  }
  bool adds_up() const override { return field_.empty(); }

  void measure(const ScoreExample& example, std::span<double> row) const override {
    SquadAnswer& own = squad_answer(example.hypothesis);
    std::ranges::fill(row, 0.0);
    bool answerable = false;
    double exact = 0.0, f1 = 0.0;
    for (const std::string& reference : example.references) {
      own.read(reference);
      if (own.reference_empty()) continue;
      answerable = true;
      if (own.exact()) exact = 100.0;
      f1 = std::max(f1, 100.0 * own.f1());
    }
    if (!answerable) exact = f1 = own.own_empty() ? 100.0 : 0.0;
    if (!field_.empty()) {
      row[kProbability] = number_of(member_of(record_of(example), field_));
      row[kRawExact] = exact;
      row[kRawF1] = f1;
      row[kAnswerable] = answerable ? 1.0 : 0.0;
      row[kAnswered] = example.hypothesis.empty() ? 0.0 : 1.0;
      if (row[kProbability] > threshold_) exact = f1 = answerable ? 0.0 : 100.0;
    }
    const size_t kind = answerable ? kExact : kNoExact;
    row[kind] = exact;
    row[kind + 1] = f1;
    row[kind + 2] = 1.0;
  }

  void from_sum(std::span<const double> sum, int64_t, std::span<double> scores) const override {
    const double all = sum[kCount] + sum[kNoCount];  // 0 / 0 is NaN: undefined
    scores[0] = (sum[kExact] + sum[kNoExact]) / all;
    scores[1] = (sum[kF1] + sum[kNoF1]) / all;
    scores[2] = sum[kExact] / sum[kCount];
    scores[3] = sum[kF1] / sum[kCount];
    scores[4] = sum[kNoExact] / sum[kNoCount];
  }

  void from_rows(const Rows& rows, std::span<const int32_t> picks,
                 std::span<double> scores) const override {
    Metric::from_rows(rows, picks, scores);
    if (field_.empty()) return;
    std::vector<int32_t> order(picks.begin(), picks.end());
    std::ranges::stable_sort(order, {}, [&](int32_t i) { return rows[i][kProbability]; });
    find_best(rows, order, kRawExact, scores.subspan(5, 2));
    find_best(rows, order, kRawF1, scores.subspan(7, 2));
  }

 private:
  static void find_best(const Rows& rows, std::span<const int32_t> order, size_t column,
                        std::span<double> best) {
    double score = 0.0;  // in percent of a question; answered are those so far
    for (const int32_t i : order) score += rows[i][kAnswerable] == 0.0 ? 100.0 : 0.0;
    best[0] = score;
    best[1] = 0.0;
    for (const int32_t i : order) {
      const auto row = rows[i];
      score += row[kAnswerable] != 0.0 ? row[column] : -100.0 * row[kAnswered];
      if (score <= best[0]) continue;
      best[0] = score;
      best[1] = row[kProbability];
    }
    best[0] /= static_cast<double>(order.size());
  }

  std::string field_;
  double threshold_;
};

}  // namespace

extern const MetricKind kSquadMetric, kSquad2Metric;
const MetricKind kSquadMetric = {
    .name = "squad",
    .help = "exact match and F1 of answers, in percent, as SQuAD v1.1",
    .options = {},
    .make = [](const MetricOptions&) -> std::unique_ptr<Metric> {
      return std::make_unique<SquadMetric>();
    },
};
const MetricKind kSquad2Metric = {
    .name = "squad-v2",
    .help = "the same as SQuAD v2.0, with questions that have no answer",
    .options =
        {
            {"na-prob", "",
             "the field of predictions with the probability of no answer; with it, "
             "the best scores of any threshold too"},
            {"threshold", "1", "an answer of a higher na-prob counts as none"},
        },
    .make = [](const MetricOptions& options) -> std::unique_ptr<Metric> {
      return std::make_unique<Squad2Metric>(options);
    },
};

}  // namespace nibble
