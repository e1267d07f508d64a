// SPDX-License-Identifier: Apache-2.0
// CSV and TSV (RFC 4180): rows to JSON objects of texts. A cell in quotes holds delimiters, line
// ends and doubled quotes; a quote elsewhere is text, as Python's csv has it. A row that is not of
// the header's width, not UTF-8 or not closed is a faulty record, and reading goes on after it.
#include <algorithm>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/quote.h"
#include "data/record_reader.h"
#include "io/json.h"
#include "text/unicode.h"

namespace nibble::detail {
namespace {

class TableSource : public RecordReader::Source {
 public:
  TableSource(LineReader lines, char delimiter, std::vector<std::string> names)
      : lines_(std::move(lines)), delimiter_(delimiter), names_(std::move(names)) {}

  bool next(Record& record) override {
    if (names_.empty() && !read_header()) return false;
    if (!read_row()) return false;
    if (fault_.empty()) check();
    text_.clear();
    if (fault_.empty())
      write();
    else
      text_ = fault_;
    text_.reserve(text_.size() + kRecordPadding);
    record = {.text = text_, .file = &lines_.name(), .line = line_, .faulty = !fault_.empty()};
    return true;
  }

 private:
  bool read_header() {
    if (!read_row()) return false;
    std::set<std::string> seen;
    for (const std::string& name : cells_)
      if (fault_.empty() && !is_utf8(name))
        fault_ = "its header is no UTF-8";
      else if (fault_.empty() && !name.empty() && !seen.insert(name).second)
        fault_ = cat("two columns are named ", quote(name));
    if (seen.empty() && fault_.empty()) fault_ = "the first row names no column";
    if (!fault_.empty())
      throw DataError(cat(lines_.name(), ":", line_, ": ", fault_,
                          "; the first row of a table names its columns"));
    names_.swap(cells_);
    return true;
  }

  // The next row that is not blank, into cells_, or what is wrong with it into fault_.
  bool read_row() {
    do {
      line_ = lines_.number() + 1;
      if (!scan_row()) return false;
    } while (fault_.empty() && cells_.size() == 1 && cells_[0].empty() && !quoted_);
    return true;
  }

  enum class At { kStart, kPlain, kQuoted, kQuote };

  bool scan_row() {
    cells_.assign(1, {});
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
      const bool ended = taken > 0 && at == At::kStart && cells_ended_;
      bytes += taken;
      if (bytes > LineReader::kMaxLine) {
        fault_ = cat("a row longer than ", LineReader::kMaxLine >> 20, " MiB");
        cells_.assign(1, {});
      }
      lines_.skip(taken);
      if (ended) return true;
    }
  }

  // Takes bytes up to the row's end or the text's; cells_ended_ says which.
  size_t scan(std::string_view text, At& at) {
    cells_ended_ = false;
    for (size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (at == At::kQuoted) {
        const size_t end = std::min(text.find('"', i), text.size());
        cells_.back() += text.substr(i, end - i);
        i = end;
        if (end < text.size()) at = At::kQuote;
      } else if (at == At::kQuote && c == '"') {
        cells_.back() += '"';
        at = At::kQuoted;
      } else if (c == '\n') {
        if (at != At::kQuote && cells_.back().ends_with('\r')) cells_.back().pop_back();
        at = At::kStart;
        cells_ended_ = true;
        return i + 1;
      } else if (c == delimiter_) {
        cells_.emplace_back();
        at = At::kStart;
      } else if (at == At::kStart && c == '"') {
        at = At::kQuoted;
        quoted_ = true;
      } else if (at == At::kQuote) {
        if (c != '\r' && fault_.empty())
          fault_ = cat("cell ", cells_.size(), " goes on after its closing quote");
      } else {
        cells_.back() += c;
        at = At::kPlain;
      }
    }
    return text.size();
  }

  void check() {
    if (cells_.size() != names_.size()) {
      fault_ = cat("has ", cells_.size(), cells_.size() == 1 ? " cell" : " cells",
                   ", where the header has ", names_.size());
      return;
    }
    for (size_t i = 0; i < cells_.size(); ++i) {
      if (!is_utf8(cells_[i]))
        fault_ = cat("column ", quote(names_[i]), " is no UTF-8");
      else if (cells_[i].find('\0') != std::string::npos)
        fault_ = cat("column ", quote(names_[i]), " has a NUL byte");
    }
  }

  void write() {
    text_ += '{';
    for (size_t i = 0; i < cells_.size(); ++i) {
      if (names_[i].empty()) continue;  // an index that was written without a name
      if (text_.size() > 1) text_ += ',';
      append_json_string(text_, names_[i]);
      text_ += ':';
      append_json_string(text_, cells_[i]);
    }
    text_ += '}';
  }

  LineReader lines_;
  char delimiter_;
  std::vector<std::string> names_, cells_;
  bool quoted_ = false, cells_ended_ = false;
  int64_t line_ = 0;
  std::string text_, fault_;
};

}  // namespace

std::unique_ptr<RecordReader::Source> table_source(LineReader lines, char delimiter,
                                                   std::vector<std::string> names) {
  return std::make_unique<TableSource>(std::move(lines), delimiter, std::move(names));
}

}  // namespace nibble::detail
