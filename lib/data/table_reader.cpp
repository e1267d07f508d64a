// SPDX-License-Identifier: Apache-2.0
#include "data/table_reader.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/quote.h"
#include "text/unicode.h"

namespace nibble {

TableReader::TableReader(LineReader lines, char delimiter, std::vector<std::string> names)
    : lines_(std::move(lines)), delimiter_(delimiter), names_(std::move(names)) {
  if (names_.empty()) read_header();
}

bool TableReader::next() {
  if (names_.empty() || !read_row()) return false;
  if (fault_.empty()) check();
  return true;
}

void TableReader::read_header() {
  if (!read_row()) return;
  std::set<std::string> seen;
  for (const std::string& name : cells())
    if (fault_.empty() && !is_utf8(name))
      fault_ = "its header is no UTF-8";
    else if (fault_.empty() && !name.empty() && !seen.insert(name).second)
      fault_ = cat("two columns are named ", quote(name));
  if (seen.empty() && fault_.empty()) fault_ = "the first row names no column";
  if (!fault_.empty())
    throw DataError(cat(lines_.name(), ":", line_, ": ", fault_,
                        "; the first row of a table names its columns"));
  names_.assign(cells().begin(), cells().end());
}

// The next row that is not blank, into cells(), or what is wrong with it into fault_.
bool TableReader::read_row() {
  do {
    line_ = lines_.number() + 1;
    if (!scan_row()) return false;
  } while (fault_.empty() && count_ == 1 && cells_[0].empty() && !quoted_);
  return true;
}

void TableReader::add_cell() {
  if (count_ == cells_.size()) cells_.emplace_back();
  cells_[count_++].clear();
}

bool TableReader::scan_row() {
  count_ = 0;
  add_cell();
  fault_.clear();
  quoted_ = false;
  At at = At::kStart;
  size_t bytes = 0;
  for (bool any = false;; any = true) {
    const std::string_view text = lines_.peek();
    if (text.empty()) {
      if (at == At::kQuoted) fault_ = "a quote that opens in this row is never closed";
      return any;
    }
    const size_t taken = scan(text, at);
    const bool ended = taken > 0 && at == At::kStart && row_ended_;
    bytes += taken;
    if (bytes > LineReader::kMaxLine) {
      fault_ = cat("a row longer than ", LineReader::kMaxLine >> 20, " MiB");
      cells_.clear();  // their memory too
      count_ = 0;
      add_cell();
    }
    lines_.skip(taken);
    if (ended) return true;
  }
}

// Takes bytes up to the row's end or the text's; row_ended_ says which.
size_t TableReader::scan(std::string_view text, At& at) {
  row_ended_ = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    std::string& cell = cells_[count_ - 1];
    if (at == At::kQuoted) {
      const size_t end = std::min(text.find('"', i), text.size());
      cell.append(text, i, end - i);
      i = end;
      if (end < text.size()) at = At::kQuote;
    } else if (at == At::kQuote && c == '"') {
      cell += '"';
      at = At::kQuoted;
    } else if (c == '\n') {
      if (at != At::kQuote && cell.ends_with('\r')) cell.pop_back();
      at = At::kStart;
      row_ended_ = true;
      return i + 1;
    } else if (c == delimiter_) {
      add_cell();
      at = At::kStart;
    } else if (at == At::kStart && c == '"') {
      at = At::kQuoted;
      quoted_ = true;
    } else if (at == At::kQuote) {
      if (c != '\r' && fault_.empty())
        fault_ = cat("cell ", count_, " goes on after its closing quote");
    } else {
      size_t end = i + 1;
      while (end < text.size() && text[end] != delimiter_ && text[end] != '\n') ++end;
      cell.append(text, i, end - i);
      i = end - 1;
      at = At::kPlain;
    }
  }
  return text.size();
}

void TableReader::check() {
  if (count_ != names_.size()) {
    fault_ = cat("has ", count_, count_ == 1 ? " cell" : " cells", ", where the header has ",
                 names_.size());
    return;
  }
  for (size_t i = 0; i < count_; ++i) {
    if (!is_utf8(cells_[i]))
      fault_ = cat("column ", quote(names_[i]), " is no UTF-8");
    else if (cells_[i].find('\0') != std::string::npos)
      fault_ = cat("column ", quote(names_[i]), " has a NUL byte");
  }
}

}  // namespace nibble
