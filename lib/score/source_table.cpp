// SPDX-License-Identifier: Apache-2.0
// Tables: comma-separated values (RFC 4180), or tab-separated where the header has a tab. A field
// that begins with a double quote ends at the next one that is not doubled, over lines too. The E2E
// challenge's references are "mr,ref" and its systems' outputs "MR<TAB>output".
#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "base/error.h"
#include "score/sources.h"
#include "text/jinja_utf8.h"
#include "text/unicode.h"

namespace nibble {
namespace {

constexpr std::string_view kKeyNames[] = {"mr", "meaning_representation", "id"};
constexpr std::string_view kReferenceNames[] = {"ref", "reference", "references", "target"};
constexpr std::string_view kPredictionNames[] = {"output", "prediction", "hypothesis",
                                                 "completion"};

class TableSource : public ItemSource {
 public:
  TableSource(LineReader lines, const SourceOptions& options) : lines_(std::move(lines)) {
    const char* kind = options.references ? "references" : "predictions";
    if (!read_row(header_)) throw DataError(cat(lines_.name(), ": empty; a table has a header"));
    for (std::string& name : header_) name = jinja::utf8::lower(python_strip(name));
    key_ = column(options.match, kKeyNames);
    if (!key_ && !options.match.empty()) fail(cat("no column \"", options.match, "\" to match by"));
    const auto text = column(
        options.field, options.references ? std::span<const std::string_view>(kReferenceNames)
                                          : std::span<const std::string_view>(kPredictionNames));
    if (!text)
      fail(cat("no column of ", kind, "; name it with --",
               options.references ? "reference" : "prediction", "-field"));
    text_ = *text;
  }

  bool next(Item& item) override {
    item = {};
    do {
      item.line = lines_.number() + 1;
      if (!read_row(row_)) return false;
    } while (row_.size() == 1 && row_[0].empty());  // a blank line
    if (row_.size() != header_.size())
      throw DataError(cat(lines_.name(), ":", item.line, ": ", row_.size(), " fields, not ",
                          header_.size(), " as in the header"));
    item.texts.push_back(row_[text_]);
    if (key_) item.key = item.id = row_[*key_];
    return true;
  }
  std::string key_name() const override { return key_ ? header_[*key_] : ""; }
  const std::string& name() const override { return lines_.name(); }
  std::string place() const override { return lines_.place(); }

 private:
  [[noreturn]] void fail(const std::string& fault) const {
    std::string names;
    for (const std::string& name : header_) names += cat(names.empty() ? "" : ", ", name);
    throw DataError(cat(lines_.name(), ":1: ", fault, " (the header has ", names, ")"));
  }

  std::optional<size_t> column(std::string_view given,
                               std::span<const std::string_view> usual) const {
    const std::string lower = jinja::utf8::lower(given);
    const std::array<std::string_view, 1> one = {lower};
    for (const std::string_view name : given.empty() ? usual : std::span(one)) {
      const auto found = std::ranges::find(header_, name);
      if (found != header_.end()) return static_cast<size_t>(found - header_.begin());
    }
    return {};
  }

  bool read_row(std::vector<std::string>& row) {
    std::string_view line;
    if (!lines_.next(line)) return false;
    const std::string place = lines_.place();
    if (separator_ == '\0') separator_ = line.find('\t') != line.npos ? '\t' : ',';
    row.assign(1, {});
    bool quoted = false, begins = true;
    for (;;) {
      check_utf8(line, lines_.place());
      for (size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
          row.back() += line[++i];
        } else if (quoted && c == '"') {
          quoted = false;
        } else if (!quoted && c == '"' && begins) {
          quoted = true;
          begins = false;
        } else if (!quoted && c == separator_) {
          row.emplace_back();
          begins = true;
        } else {
          row.back() += c;
          begins = false;
        }
      }
      if (!quoted) return true;
      row.back() += '\n';
      if (!lines_.next(line)) throw DataError(cat(place, ": the quote is never closed"));
    }
  }

  LineReader lines_;
  char separator_ = '\0';
  std::vector<std::string> header_, row_;
  std::optional<size_t> key_;
  size_t text_ = 0;
};

}  // namespace

std::unique_ptr<ItemSource> table_of(LineReader lines, const SourceOptions& options) {
  return std::make_unique<TableSource>(std::move(lines), options);
}

}  // namespace nibble
