// SPDX-License-Identifier: Apache-2.0
// Small tables: a header line of column names, then a row a line; commas between values, lines of
// "#" are comments. Nothing is quoted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nibble {

class CsvRow {
 public:
  const std::string& text(std::string_view column) const;
  bool has(std::string_view column) const;
  /// At least `least` and finite.
  double number(std::string_view column, double least = 0.0) const;
  int64_t integer(std::string_view column, int64_t least = 0) const;
  /// Throws DataError "gpus.csv:12: fault".
  [[noreturn]] void fail(const std::string& fault) const;

 private:
  friend std::vector<CsvRow> read_csv(std::string_view text, const std::string& place,
                                      const std::vector<std::string>& columns);
  std::string place_;
  std::vector<std::string> columns_, values_;
};

/// The rows of a table that has these columns, and perhaps others, in any order. Throws DataError.
std::vector<CsvRow> read_csv(std::string_view text, const std::string& place,
                             const std::vector<std::string>& columns);

}  // namespace nibble
