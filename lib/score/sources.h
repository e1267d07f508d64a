// SPDX-License-Identifier: Apache-2.0
// Sources of texts, one item after another: the lines of a text file, its groups of lines between
// blank lines, the records of a JSONL file, or the rows of a table (CSV or TSV with a header).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/json.h"
#include "io/lines.h"

namespace nibble {

struct Item {
  std::vector<std::string> texts;            // one hypothesis, or references
  bool has_texts = true;                     // false: its record has no field for them
  std::vector<std::string> references = {};  // of a record that holds both
  std::string key;  // what --match goes by, or the table's meaning representation
  std::string id;
  Json record;
  int64_t line = 0;
};

enum class Layout : uint8_t { kAuto, kLines, kGroups, kRecords, kTable };
/// "auto", "lines", "groups", "records" or "table".
Layout layout_by_name(std::string_view name);

struct SourceOptions {
  Layout layout = Layout::kAuto;
  std::string field;  // of records, or a table's column; empty: the first of the usual names
  std::string match;  // the field or column that items are matched by; empty: none, or a table's mr
  bool references = false;      // else predictions
  bool both = false;            // records hold a prediction and its references
  std::string reference_field;  // of the latter
  bool keep_records = false;    // Item::record
};

class ItemSource {
 public:
  virtual ~ItemSource() = default;
  /// The next item, or false at the end. Throws DataError for what cannot be read.
  virtual bool next(Item& item) = 0;
  /// What items are matched by, as in "mr"; empty: they have no keys.
  virtual std::string key_name() const { return {}; }
  virtual const std::string& name() const = 0;
  /// "out.txt:12": where it is now.
  virtual std::string place() const = 0;
};

/// Opens a file, or standard input for "-". Throws NoInputError.
std::unique_ptr<ItemSource> open_source(const std::string& path, const SourceOptions& options);

/// How the kinds are made.
std::unique_ptr<ItemSource> lines_of(LineReader lines);
std::unique_ptr<ItemSource> groups_of(LineReader lines);
std::unique_ptr<ItemSource> records_of(LineReader lines, const SourceOptions& options);
std::unique_ptr<ItemSource> table_of(LineReader lines, const SourceOptions& options);

/// Throws DataError where the text is not valid UTF-8.
void check_utf8(std::string_view text, const std::string& place);

}  // namespace nibble
