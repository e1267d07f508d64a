// SPDX-License-Identifier: Apache-2.0
// Records that a tool removes, each with the reason, one JSON object a line:
//   {"removed":"near_duplicate","place":"data.jsonl:88","of":"data.jsonl:12","jaccard":0.91,
//    "record":{...}}
// where the record is as it stood.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "data/records.h"
#include "io/json.h"
#include "io/lines.h"

namespace nibble {

class RemovedRecords {
 public:
  /// Without a path nothing is written.
  explicit RemovedRecords(const std::string& path);
  /// `details`: more members, in the order in which they are to stand.
  void add(std::string_view reason, const Record& record, const Json::Object& details);
  void commit();

 private:
  std::optional<LineWriter> out_;
  std::string line_, scratch_;
};

}  // namespace nibble
