// SPDX-License-Identifier: Apache-2.0
// Records of a benchmark's file as JSON objects: JSONL or one JSON array; rows of a .csv (RFC 4180)
// or .tsv (no quotes), named by their first line or by given columns. "source_file" is the file's
// name without its ending. Lines of a file beside it may add a member to each.
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
