// SPDX-License-Identifier: Apache-2.0
// The log of an evaluation: JSONL, a head with the settings and then one record an example, for
// reading, for --compare, and to go on from. Every record is on disk when the next is begun; a line
// that a kill has cut is taken off.
//
//   {"nibble-eval": 1, "settings": {...}, "tasks": [{"name", "metrics", "few_shot", ...}]}
//   {"task", "example", "place", "prompt", "few_shot", "choices", "loglikelihoods", "scores", ...}
#pragma once

#include <map>
#include <string>
#include <vector>

#include "io/json.h"

namespace nibble {

struct TaskLogContents {
  Json head;
  std::map<std::string, std::vector<Json>> records;  // of every task, by number of the example
};

/// Reads a log. Throws DataError "place: fault"; a last line without its end is left out, and
/// `end`, if given, is where it begins.
TaskLogContents read_task_log(const std::string& path, size_t* end = nullptr);

class TaskLog {
 public:
  /// Begins a log, or goes on with one of the same head; an empty path writes nothing. Throws
  /// UsageError where the file is the log of something else, or no log.
  TaskLog(const std::string& path, const Json& head);
  ~TaskLog();
  TaskLog(const TaskLog&) = delete;
  TaskLog& operator=(const TaskLog&) = delete;

  /// What was there.
  const TaskLogContents& before() const { return before_; }
  void write(const Json& record);

 private:
  void put(std::string text);
  std::string path_;
  int fd_ = -1;
  TaskLogContents before_;
};

}  // namespace nibble
