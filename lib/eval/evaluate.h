// SPDX-License-Identifier: Apache-2.0
// Evaluation: a task's examples asked of a model, one record each (task_log.h), in the order in
// which they are answered.
#pragma once

#include <functional>
#include <set>

#include "eval/few_shot.h"

#include "infer/session.h"

namespace nibble {

struct EvaluateOptions {
  int64_t context = 0;  // tokens, at most the model's
  int64_t batch_tokens = 4096;
  int64_t batch_size = 8;  // completions that grow together
  Dtype compute = Dtype::kBf16;
  Device device;  // what computes
};

/// A task with its files read.
struct TaskRun {
  Task task;
  std::vector<TaskExample> questions;
  FewShotSource source;
  std::vector<std::vector<int64_t>> few_shots;  // of every question

  const std::vector<int64_t>& shots_of(const TaskExample& question) const {
    return few_shots[static_cast<size_t>(&question - questions.data())];
  }
  /// All that stands before the question's own prompt.
  std::string text_before(const TaskExample& question) const {
    return few_shot_text(task, question, source, shots_of(question));
  }
};

/// Reads the files and chooses the few shots. `few_shot` and `order` override the task's.
TaskRun prepare_task(Task task, const std::string& data, const std::string& train, int64_t limit,
                     std::optional<int64_t> few_shot, std::optional<FewShotOrder> order,
                     uint64_t seed, const std::vector<std::string>& tags);

/// The head of a log (task_log.h): all that decides the records but the model.
Json log_head(const std::vector<TaskRun>& runs, uint64_t seed, const EvaluateOptions& options);

/// How much is done, of a measure of the work.
using EvaluateProgress = std::function<void(int64_t done, int64_t all)>;

/// Calls `record` for every question that is not in `known`. Prompts longer than the context lose
/// their beginning; their records say how many tokens ("truncated"). Throws DataError for a choice
/// without tokens, or longer than the context.
void evaluate(const Session& session, const TaskRun& run, const EvaluateOptions& options,
              const std::set<int64_t>& known, const std::function<void(Json)>& record,
              const EvaluateProgress& progress);

}  // namespace nibble
