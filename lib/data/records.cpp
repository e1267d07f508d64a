// SPDX-License-Identifier: Apache-2.0
#include "data/records.h"

#include <algorithm>

#include "base/error.h"

namespace nibble {
namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr size_t kPadding = 64;
constexpr size_t kBatchBytes = size_t{2} << 20;
constexpr size_t kBatchRecords = 8192;

// Finds where a JSON value ends, given its text in parts. Only strings and brackets matter; whether
// it is JSON at all is for the parser to say.
class ItemScanner {
 public:
  /// How many bytes of `part` belong to the value; whole() tells whether it ended there.
  size_t scan(std::string_view part) {
    size_t i = 0;
    while (i < part.size() && !whole_) {
      const char c = part[i];
      if (in_string_) {
        if (escaped_)
          escaped_ = false;
        else if (c == '\\')
          escaped_ = true;
        else if (c == '"')
          in_string_ = false, whole_ = depth_ == 0;
      } else if (c == '"') {
        if (depth_ == 0 && begun_) {  // a scalar runs into a string
          whole_ = true;
          break;
        }
        in_string_ = true;
      } else if (c == '{' || c == '[') {
        ++depth_;
      } else if (c == '}' || c == ']') {
        if (depth_ == 0) {  // the array's own end, after a scalar
          whole_ = true;
          break;
        }
        whole_ = --depth_ == 0;
      } else if (depth_ == 0 && (c == ',' || kSpace.find(c) != kSpace.npos)) {
        whole_ = true;
        break;
      }
      begun_ = true;
      ++i;
    }
    return i;
  }
  bool whole() const { return whole_; }

 private:
  bool begun_ = false, in_string_ = false, escaped_ = false, whole_ = false;
  int64_t depth_ = 0;
};

bool is_blank(std::string_view line) {
  return line.find_first_not_of(kSpace) == line.npos;
}

}  // namespace

std::string place_of(const Record& record) {
  const std::string place = cat(*record.file, ":", record.line);
  return record.item < 0 ? place : cat(place, ", item ", record.item);
}

simdjson::dom::element parse_record(std::string_view text) {
  thread_local simdjson::dom::parser parser;
  simdjson::dom::element value;
  if (const auto error = parser.parse(text.data(), text.size(), false).get(value))
    throw DataError(cat("malformed JSON: ", simdjson::error_message(error)));
  return value;
}

RecordReader::RecordReader(const std::string& path, RecordForm form) : lines_(path), form_(form) {}

// The next byte that is no white space, not passed over; false at the end.
bool RecordReader::peek_nonspace(char& c) {
  for (;;) {
    const std::string_view text = lines_.peek();
    if (text.empty()) return false;
    const size_t at = text.find_first_not_of(kSpace);
    lines_.skip(std::min(at, text.size()));
    if (at == text.npos) continue;
    c = text[at];
    return true;
  }
}

bool RecordReader::next(Record& record) {
  if (!started_) {
    started_ = true;
    char first = 0;
    array_ = form_ == RecordForm::kJson && peek_nonspace(first) && first == '[';
    if (array_) lines_.skip(1);
  }
  if (array_) return next_item(record);
  std::string_view line;
  while (lines_.next(line)) {
    if (is_blank(line)) continue;
    record = {.text = line, .file = &lines_.name(), .line = lines_.number()};
    return true;
  }
  return false;
}

bool RecordReader::next_item(Record& record) {
  if (ended_) return false;
  const auto fail = [&](std::string_view fault) {
    throw DataError(cat(lines_.name(), ":", lines_.number() + 1, ": the array ", fault,
                        "; is the file complete?"));
  };
  char c = 0;
  if (!peek_nonspace(c)) fail("ends early");
  if (c == ',' && items_ > 0) {
    lines_.skip(1);
    if (!peek_nonspace(c)) fail("ends early");
    if (c == ']') fail("has a comma at its end");
  } else if (c != ']' && items_ > 0) {
    fail("lacks a comma between items");
  }
  if (c == ']') {
    lines_.skip(1);
    if (peek_nonspace(c)) fail("is followed by more text");
    ended_ = true;
    return false;
  }
  if (c == ',') fail("has an empty item");
  const int64_t line = lines_.number() + 1;
  item_.clear();
  ItemScanner scanner;
  while (!scanner.whole()) {
    const std::string_view text = lines_.peek();
    if (text.empty()) fail("ends early");
    const size_t taken = scanner.scan(text);
    if (item_.size() + taken > LineReader::kMaxLine)
      fail(cat("has an item longer than ", LineReader::kMaxLine >> 20, " MiB"));
    item_ += text.substr(0, taken);
    lines_.skip(taken);
  }
  item_.reserve(item_.size() + kPadding);
  record = {.text = item_, .file = &lines_.name(), .line = line, .item = items_++};
  return true;
}

void BadRecords::add(const std::string& text) {
  if (count_ >= allowed_) {
    if (allowed_ == 0) throw DataError(text + "; mend it or use --skip-bad");
    throw DataError(cat(text, " (", count_, " bad records were passed over before it)"));
  }
  ++count_;
  say_(text);
}

namespace detail {

RecordBatches::RecordBatches(std::vector<std::string> files, RecordForm form)
    : files_(std::move(files)), form_(form) {
  if (files_.empty()) files_.emplace_back("-");
}

bool RecordBatches::next(std::vector<Record>& batch) {
  batch.clear();
  text_.clear();
  begins_ = false;
  std::vector<size_t> offsets;
  while (batch.empty()) {
    if (!reader_) {
      if (opened_ == files_.size()) return false;
      reader_ = std::make_unique<RecordReader>(files_[opened_++], form_);
      begins_ = true;
    }
    Record record;
    bool more = true;
    while (text_.size() < kBatchBytes && batch.size() < kBatchRecords &&
           (more = reader_->next(record))) {
      offsets.push_back(text_.size());
      text_ += record.text;
      batch.push_back(record);
    }
    if (!more && batch.empty()) reader_.reset();
  }
  text_.append(kPadding, '\0');
  for (size_t i = 0; i < batch.size(); ++i)
    batch[i].text = std::string_view(text_).substr(offsets[i], batch[i].text.size());
  return true;
}

}  // namespace detail

}  // namespace nibble
