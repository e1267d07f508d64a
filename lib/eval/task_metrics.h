// SPDX-License-Identifier: Apache-2.0
// Metrics of tasks: those of log-likelihoods, here, and every one of nibble-score's
// (score/metric.h). All of them measure an example's record, as the log has it (task_log.h), so
// that what a log says can be scored, resampled and compared without the model.
#pragma once

#include <memory>
#include <string>

#include "eval/task.h"
#include "score/metric.h"

namespace nibble {

/// A metric of a task, or one score of it: "squad", "rouge:stemmer=yes", "classification/mcc".
struct TaskMetric {
  std::unique_ptr<Metric> metric;
  std::string only;  // the score; empty: all but details
};

/// "acc", "acc_norm", "acc_bytes" (the right choice is likeliest; by character; by byte), "mc2"
/// (probability of the right ones among all), "perplexity" (of continuations), or a metric as
/// nibble-score takes it, each with "/SCORE" for one of its scores. Throws UsageError.
TaskMetric make_task_metric(std::string_view spec);

/// Why a task of that kind cannot have that metric; empty where it can.
std::string metric_fault(std::string_view spec, TaskKind kind);

/// The scores of one example that its record holds beside what make_task_metric measures from.
struct ChoiceScores {
  int64_t prediction = 0;  // the likeliest
  bool acc = false, acc_norm = false, acc_bytes = false;
  double mc2 = 0.0;
};
/// As lm-eval 0.4.13 has them: ties go to the first; the lengths are those of the choices' texts
/// without the delimiter.
ChoiceScores score_choices(std::span<const std::string> choices, std::span<const double> sums,
                           std::span<const int64_t> answers, std::span<const double> correct);

/// The example of a record, for metrics.
ScoreExample scored_example(const Json& record);

}  // namespace nibble
