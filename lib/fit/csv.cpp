// SPDX-License-Identifier: Apache-2.0
#include "fit/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/quote.h"

namespace nibble {
namespace {

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == text.npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1));
}

std::vector<std::string> split(std::string_view line) {
  std::vector<std::string> out;
  for (size_t at = 0;;) {
    const size_t comma = line.find(',', at);
    out.push_back(trimmed(line.substr(at, comma - at)));
    if (comma == line.npos) return out;
    at = comma + 1;
  }
}

}  // namespace

void CsvRow::fail(const std::string& fault) const {
  throw DataError(cat(place_, ": ", fault));
}

const std::string& CsvRow::text(std::string_view column) const {
  const auto at = std::find(columns_.begin(), columns_.end(), column);
  CHECK(at != columns_.end());
  return values_[static_cast<size_t>(at - columns_.begin())];
}

bool CsvRow::has(std::string_view column) const {
  return std::find(columns_.begin(), columns_.end(), column) != columns_.end();
}

double CsvRow::number(std::string_view column, double least) const {
  const std::string& value = text(column);
  double number = 0.0;
  const char* end = value.data() + value.size();
  const auto [at, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || at != end || !std::isfinite(number) || number < least)
    fail(cat("\"", column, "\" is ", quote(value), ", not a number of at least ", least));
  return number;
}

int64_t CsvRow::integer(std::string_view column, int64_t least) const {
  const double n = number(column, static_cast<double>(least));
  if (n != std::floor(n) || n > 1e15)
    fail(cat("\"", column, "\" is ", quote(text(column)), ", not a whole number"));
  return static_cast<int64_t>(n);
}

std::vector<CsvRow> read_csv(std::string_view text, const std::string& place,
                             const std::vector<std::string>& columns) {
  std::vector<CsvRow> rows;
  std::vector<std::string> header;
  for (int64_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string now = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (now.empty() || now.starts_with('#')) continue;
    CsvRow row;
    row.place_ = cat(place, ":", line);
    row.values_ = split(now);
    if (header.empty()) {
      header = row.values_;
      for (const std::string& column : columns)
        if (std::count(header.begin(), header.end(), column) != 1)
          row.fail(cat("the header has no column \"", column, "\", or two"));
      continue;
    }
    row.columns_ = header;
    if (row.values_.size() != header.size())
      row.fail(cat(row.values_.size(), " values, but the header names ", header.size()));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace nibble
