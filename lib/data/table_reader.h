// SPDX-License-Identifier: Apache-2.0
// CSV and TSV (RFC 4180), row by row. A cell in quotes holds delimiters, line ends and doubled
// quotes; a quote elsewhere is text, as Python's csv has it. A row that is not of the header's
// width, not UTF-8 or not closed is faulty, and reading goes on after it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/lines.h"

namespace nibble {

class TableReader {
 public:
  /// `names` are those of the columns; where there are none, the first row names them. Throws
  /// DataError for a header that does not.
  TableReader(LineReader lines, char delimiter, std::vector<std::string> names = {});

  /// Goes to the next row that is not blank; false at the end.
  bool next();
  /// Empty, where the file is.
  const std::vector<std::string>& names() const { return names_; }
  /// As many as names(), where the row is not faulty.
  std::span<const std::string> cells() const { return std::span(cells_).first(count_); }
  /// What is wrong with the row; empty: nothing.
  const std::string& fault() const { return fault_; }
  const std::string& file() const { return lines_.name(); }
  int64_t line() const { return line_; }  // where the row begins, from 1

 private:
  enum class At { kStart, kPlain, kQuoted, kQuote };
  void read_header();
  bool read_row();
  bool scan_row();
  size_t scan(std::string_view text, At& at);
  void add_cell();
  void check();

  LineReader lines_;
  char delimiter_;
  std::vector<std::string> names_, cells_;
  size_t count_ = 0;  // cells of the row; those behind it keep their memory
  bool quoted_ = false, row_ended_ = false;
  int64_t line_ = 0;
  std::string fault_;
};

}  // namespace nibble
