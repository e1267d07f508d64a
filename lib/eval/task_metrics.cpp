// SPDX-License-Identifier: Apache-2.0
#include "eval/task_metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "score/example_record.h"
#include "text/unicode.h"

namespace nibble {
namespace {

constexpr std::string_view kChoiceMetrics[] = {"acc", "acc_norm", "acc_bytes", "mc2"};

// A score that the record has.
class RecordMean : public MeanMetric {
 public:
  explicit RecordMean(std::string_view name) : name_(name) {}
  std::vector<ScoreName> scores() const override { return {{.name = name_}}; }
  MetricNeeds needs() const override {
    return {.hypothesis = false, .references = false, .records = true};
  }
  void measure(const ScoreExample& e, std::span<double> row) const override {
    row[0] = number_of(member_of(member_of(record_of(e), "scores"), name_));
  }

 private:
  std::string name_;
};

// exp of the mean negative log-likelihood of an example's target.
class TargetPerplexity : public Metric {
 public:
  std::vector<ScoreName> scores() const override {
    return {{.name = "perplexity", .less_is_better = true}};
  }
  MetricNeeds needs() const override {
    return {.hypothesis = false, .references = false, .records = true};
  }
  int64_t width() const override { return 1; }
  void measure(const ScoreExample& e, std::span<double> row) const override {
    const auto all = array_of(member_of(record_of(e), "loglikelihoods"));
    if (all.size() == 0) throw DataError("\"loglikelihoods\" is empty");
    row[0] = number_of(*all.begin());
  }
  void from_sum(std::span<const double> sum, int64_t examples,
                std::span<double> scores) const override {
    scores[0] = std::exp(-sum[0] / static_cast<double>(examples));
  }
};

int64_t code_points(std::string_view text) {
  int64_t count = 0;
  for (size_t at = 0; at < text.size(); ++count)
    at += static_cast<size_t>(read_utf8(text, at).size);
  return count;
}

}  // namespace

TaskMetric make_task_metric(std::string_view spec) {
  if (std::ranges::count(kChoiceMetrics, spec)) return {std::make_unique<RecordMean>(spec), {}};
  if (spec == "perplexity") return {std::make_unique<TargetPerplexity>(), {}};
  const size_t slash = std::min(spec.rfind('/'), spec.size());
  TaskMetric out = {make_metric(spec.substr(0, slash)), {}};
  if (slash == spec.size()) return out;
  out.only = spec.substr(slash + 1);
  for (const ScoreName& name : out.metric->scores())
    if (name.name == out.only) return out;
  throw UsageError(cat("--metric=", spec, ": it has no score \"", out.only, "\""));
}

std::string metric_fault(std::string_view spec, TaskKind kind) {
  const bool of_choices = std::ranges::count(kChoiceMetrics, spec) > 0;
  if (of_choices && kind != TaskKind::kChoice && !(spec == "acc" && kind != TaskKind::kCompletion))
    return cat("metric \"", spec, "\" is one of choices, which the task has not");
  if (spec == "perplexity" && kind != TaskKind::kContinuation)
    return "metric \"perplexity\" is one of continuations";
  try {
    make_task_metric(spec);
  } catch (const UsageError& e) {
    std::string_view text = e.what();
    if (text.starts_with("--metric=")) text.remove_prefix(9);
    return cat("metric ", text, "; or acc, acc_norm, acc_bytes, mc2, perplexity");
  }
  return {};
}

ChoiceScores score_choices(std::span<const std::string> choices, std::span<const double> sums,
                           std::span<const int64_t> answers, std::span<const double> correct) {
  const auto right = [&](auto&& value_of) {
    int64_t best = 0;
    for (int64_t i = 1; i < std::ssize(sums); ++i)
      if (value_of(i) > value_of(best)) best = i;
    return std::pair(best, std::ranges::count(answers, best) > 0);
  };
  const auto per = [&](int64_t i, int64_t length) {
    return length > 0 ? sums[static_cast<size_t>(i)] / static_cast<double>(length)
                      : -std::numeric_limits<double>::infinity();
  };
  const auto text = [&](int64_t i) -> const std::string& {
    return choices[static_cast<size_t>(i)];
  };
  ChoiceScores s;
  std::tie(s.prediction, s.acc) = right([&](int64_t i) { return sums[static_cast<size_t>(i)]; });
  s.acc_norm = right([&](int64_t i) { return per(i, code_points(text(i))); }).second;
  s.acc_bytes = right([&](int64_t i) { return per(i, std::ssize(text(i))); }).second;
  const double largest = *std::ranges::max_element(sums);
  double all = 0.0, of_right = 0.0;
  for (size_t i = 0; i < sums.size(); ++i) {
    const double p = std::exp(sums[i] - largest);
    const bool marked = correct.empty() ? std::ranges::count(answers, static_cast<int64_t>(i)) > 0
                                        : correct[i] == 1.0;
    all += p;
    if (marked) of_right += p;
  }
  s.mc2 = of_right / all;
  return s;
}

ScoreExample scored_example(const Json& record) {
  ScoreExample e;
  if (const Json* text = record.find("hypothesis")) e.hypothesis = text->as_string();
  if (const Json* list = record.find("references"))
    for (const Json& r : list->as_array()) e.references.push_back(r.as_string());
  e.record = record.dump();
  return e;
}

}  // namespace nibble
