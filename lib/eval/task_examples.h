// SPDX-License-Identifier: Apache-2.0
// A task's examples: records of the benchmark's files (JSON values a line, or one JSON array; CSV
// and TSV by their names), each made into the texts that the task's templates write.
#pragma once

#include <string>
#include <vector>

#include "eval/task.h"
#include "io/json.h"

namespace nibble {

struct TaskExample {
  int64_t number = 0;                // in the files, from 0
  std::string place;                 // "test.jsonl:12"
  std::string description;           // before all examples
  std::vector<std::string> prompts;  // one, or one for every choice
  std::vector<std::string> choices;  // what may follow the prompt; what tells prompts apart
  std::string target;  // what follows where choices are in the prompts, or there are none
  std::vector<std::string> labels;  // what the choices are called; empty: their texts
  std::vector<int64_t> answers;     // right choices
  std::vector<double> correct;      // of every choice: 1 right, 0 wrong; empty: by answers
  std::vector<std::string> references;
  std::string group;
  Json tags;  // members asked for: a text, or a list of texts, each

  /// The example as one of the few shots: a prompt and its right answer.
  std::string shown(const Task& task) const;
};

struct ExampleFiles {
  std::vector<std::string> test, train;  // train: empty where there is none
};

/// Where the task's files are: `data` is a file, or a folder in which the task's own names (with *
/// for any text in the last part) are looked for; empty: the folder of the task's file. `train`,
/// where given, is a file. Throws NoInputError naming what was looked for.
ExampleFiles find_files(const Task& task, const std::string& data, const std::string& train);

/// The examples of the files; at most `limit` (0: all) of every group. `tags` are members to keep.
/// Throws DataError "place: fault".
std::vector<TaskExample> read_examples(const Task& task, const std::vector<std::string>& files,
                                       int64_t limit, const std::vector<std::string>& tags);

}  // namespace nibble
