// SPDX-License-Identifier: Apache-2.0
// Reports over records (task_log.h): every metric of a task, of each of its groups, and of each tag
// (a skill, say) that its records carry, with errors; and the difference between two logs.
//
// Errors: the standard error of the mean where a score is one, as lm-eval has it, else the standard
// deviation over bootstrap samples. Intervals of differences: paired bootstrap, 95 %, of the
// examples that both logs have.
#pragma once

#include <string>
#include <vector>

#include "eval/task_log.h"

namespace nibble {

struct ReportOptions {
  uint64_t seed = 0;
  int64_t samples = 1000;  // of the bootstrap
};

/// What the head of a log says of a task.
Json task_settings(const Json& head, const std::string& task);

/// {"examples", "truncated", "metrics": {NAME: {"value", "error"}}, "groups": {GROUP: {...}},
/// "group_mean": {NAME: value}, "tags": {MEMBER: {TAG: {...}}}}; metrics as task_settings names
/// them. Throws DataError where records lack what a metric measures.
Json report_task(const Json& settings, const std::vector<Json>& records,
                 const ReportOptions& options);

/// {"before", "after", "tasks": {TASK: {"examples", "metrics": {NAME: {"before", "after",
/// "difference", "low", "high"}}}}}. Throws DataError where the logs have no task, or no example of
/// one, in common, or other metrics of it.
Json compare_logs(const std::string& before, const std::string& after,
                  const ReportOptions& options);

/// Tables for people, tab-separated.
std::vector<std::string> report_table(const Json& report);
std::vector<std::string> comparison_table(const Json& comparison);

}  // namespace nibble
