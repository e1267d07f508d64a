// SPDX-License-Identifier: Apache-2.0
// Sources of texts, one item after another: the lines of a text file, its groups of lines between
// blank lines, the records of a JSONL file, or the rows of a table (CSV or TSV with a header).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/lines.h"

namespace nibble {

/// Reused from one item to the next, so that its texts keep their memory.
struct Item {
  std::vector<std::string> texts;       // one hypothesis, or references
  bool has_texts = true;                // false: its record has no field for them
  std::vector<std::string> references;  // of a record that holds both
  std::string key;  // what --match goes by, or the table's meaning representation
  std::string id;
  std::string record;  // its JSON
  int64_t line = 0;

  /// Makes it empty but for texts, which a source sets or resizes.
  void begin(int64_t at_line);
};

/// Sets texts[at], at most one behind the last.
void put_text(std::vector<std::string>& texts, size_t at, std::string_view text);

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
  bool only_records = false;    // nothing else of them
};

class ItemSource {
 public:
  virtual ~ItemSource() = default;
  /// Replaces the item by the next one, or returns false at the end. Throws DataError for what
  /// cannot be read.
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

/// What is thrown for a text that is not valid UTF-8.
[[noreturn]] void refuse_text(const std::string& place);

}  // namespace nibble
