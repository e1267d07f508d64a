// SPDX-License-Identifier: Apache-2.0
// The records of one file, one after another: lines of JSON or text, the items of a JSON array, the
// rows of a table, or message trees put together from their rows.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/table_reader.h"
#include "io/lines.h"

namespace nibble {

/// One record's JSON text, not yet parsed, with at least 64 readable bytes behind it.
struct Record {
  std::string_view text;
  const std::string* file = nullptr;
  int64_t line = 0;     // 1-based, where it starts
  int64_t item = -1;    // 0-based position in a JSON array; -1: a line of JSONL
  bool faulty = false;  // it could not be read, and the text says why
};

/// "train.jsonl:812", or "alpaca.json:1, item 811" in an array.
std::string place_of(const Record& record);

/// What a file's records are.
enum class RecordForm : uint8_t {
  kJson,      // JSON values, a line each or the items of one array
  kLines,     // lines as they stand
  kCsv,       // rows of a table (RFC 4180), as JSON objects of texts named by its first row
  kTsv,       // the same with tabs
  kExamples,  // whichever of JSON, CSV and TSV it is by its name or first line; rows of message
              // trees (OASST) joined
};

/// Reads records. The file is a name or "-".
class RecordReader {
 public:
  /// `names` are those of a table's columns, where its first row does not name them.
  explicit RecordReader(const std::string& path, RecordForm form = RecordForm::kJson,
                        const std::vector<std::string>& names = {});
  explicit RecordReader(LineReader lines, RecordForm form = RecordForm::kJson,
                        const std::vector<std::string>& names = {});
  explicit RecordReader(TableReader rows);
  ~RecordReader();
  RecordReader(RecordReader&&) noexcept;

  /// The next record, or false at the end; valid until the next call. Blank lines are passed over.
  /// Throws DataError where the file is damaged so that no more can be read.
  bool next(Record& record);

  /// One way to find records.
  class Source {
   public:
    virtual ~Source() = default;
    virtual bool next(Record& record) = 0;
  };

 private:
  std::unique_ptr<Source> source_;
};

namespace detail {
/// Bytes that stand readable behind a record's text.
inline constexpr size_t kRecordPadding = 64;

std::unique_ptr<RecordReader::Source> table_source(TableReader rows);
/// Joins consecutive rows of one message tree to {"message_tree":[...]}, where the first record
/// shows that they are such.
std::unique_ptr<RecordReader::Source> tree_source(std::unique_ptr<RecordReader::Source> rows);
}  // namespace detail

}  // namespace nibble
