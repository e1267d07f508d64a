// SPDX-License-Identifier: Apache-2.0
#include "data/removed.h"

#include "data/members.h"

namespace nibble {

RemovedRecords::RemovedRecords(const std::string& path) {
  if (!path.empty()) out_.emplace(path);
}

void RemovedRecords::add(std::string_view reason, const Record& record,
                         const Json::Object& details) {
  if (!out_) return;
  line_ = "{\"removed\":";
  append_json_string(line_, reason);
  line_ += ",\"place\":";
  append_json_string(line_, place_of(record));
  for (const auto& [name, value] : details) {
    line_ += ',';
    append_json_string(line_, name);
    line_ += cat(':', value.dump());
  }
  line_ += ",\"record\":";
  line_ += record_line(record.text, scratch_);
  line_ += '}';
  out_->line(line_);
}

void RemovedRecords::commit() {
  if (out_) out_->commit();
}

}  // namespace nibble
