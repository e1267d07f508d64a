// SPDX-License-Identifier: Apache-2.0
// Rows of a table (table_reader.h) as records: JSON objects of texts.
#include "data/record_reader.h"
#include "data/table_reader.h"
#include "io/json.h"

namespace nibble::detail {
namespace {

class TableSource : public RecordReader::Source {
 public:
  explicit TableSource(TableReader rows) : rows_(std::move(rows)) {}

  bool next(Record& record) override {
    if (!rows_.next()) return false;
    const bool faulty = !rows_.fault().empty();
    text_.clear();
    if (faulty)
      text_ = rows_.fault();
    else
      write();
    text_.reserve(text_.size() + kRecordPadding);
    record = {.text = text_, .file = &rows_.file(), .line = rows_.line(), .faulty = faulty};
    return true;
  }

 private:
  void write() {
    text_ += '{';
    for (size_t i = 0; i < rows_.names().size(); ++i) {
      if (rows_.names()[i].empty()) continue;  // an index that was written without a name
      if (text_.size() > 1) text_ += ',';
      append_json_string(text_, rows_.names()[i]);
      text_ += ':';
      append_json_string(text_, rows_.cells()[i]);
    }
    text_ += '}';
  }

  TableReader rows_;
  std::string text_;
};

}  // namespace

std::unique_ptr<RecordReader::Source> table_source(TableReader rows) {
  return std::make_unique<TableSource>(std::move(rows));
}

}  // namespace nibble::detail
