// SPDX-License-Identifier: Apache-2.0
// Records of a benchmark's file as JSON objects: JSONL, one JSON array, or a .csv or .tsv, whose
// columns its first row names or the task does. "source_file" is added, the file's name without its
// ending, and what each line of a file beside it says.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/json.h"

namespace nibble {

struct TaskRecord {
  Json value;
  std::string place;
};

class TableRecords {
 public:
  /// `beside` are pairs of a member and the ending of a file: with {"label", "-labels.lst"},
  /// valid.jsonl's records get the lines of valid-labels.lst, where that exists, as "label".
  TableRecords(const std::string& path, const std::vector<std::string>& columns,
               const std::vector<std::pair<std::string, std::string>>& beside);
  ~TableRecords();

  /// The next record, or false at the end. Throws DataError "place: fault".
  bool next(TaskRecord& record);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nibble
