// SPDX-License-Identifier: Apache-2.0
// Few-shot examples: which of a task's source stand before a question, and the text they make.
// A question is never among its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/task_examples.h"

namespace nibble {

struct FewShotOptions {
  int64_t count = 0;
  FewShotOrder order = FewShotOrder::kSample;
  uint64_t seed = 0;
};

/// Examples to choose from: the train files' or, where there are none, the questions themselves.
struct FewShotSource {
  std::vector<TaskExample> examples;
  bool questions = false;
};

/// Numbers of the source's examples before every question, of its own group where the task has
/// groups. A draw depends on the seed and the question's number (or, fixed, its group) alone.
/// Throws DataError where the source has too few.
std::vector<std::vector<int64_t>> choose_few_shots(const Task& task,
                                                   const std::vector<TaskExample>& questions,
                                                   const FewShotSource& source,
                                                   const FewShotOptions& options);

/// What stands before the question's prompt: description and examples.
std::string few_shot_text(const Task& task, const TaskExample& question,
                          const FewShotSource& source, const std::vector<int64_t>& numbers);

}  // namespace nibble
