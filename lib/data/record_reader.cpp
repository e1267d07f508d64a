// SPDX-License-Identifier: Apache-2.0
#include "data/record_reader.h"

#include <algorithm>

#include "base/error.h"
#include "data/json_value_end.h"

namespace nibble {
namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr size_t kHeaderLine = size_t{1} << 16;

std::string too_long(std::string_view what) {
  return cat(what, " longer than ", LineReader::kMaxLine >> 20, " MiB");
}

class LineSource : public RecordReader::Source {
 public:
  explicit LineSource(LineReader lines) : lines_(std::move(lines)) {}

  bool next(Record& record) override {
    std::string_view line;
    for (;;) {
      try {
        if (!lines_.next(line)) return false;
      } catch (const LongLineError&) {
        fault_ = too_long("a line") + "; is this JSONL, one record a line?";
        record = {
            .text = fault_, .file = &lines_.name(), .line = lines_.number() + 1, .faulty = true};
        return true;
      }
      if (line.find_first_not_of(kSpace) == line.npos) continue;
      record = {.text = line, .file = &lines_.name(), .line = lines_.number()};
      return true;
    }
  }

 private:
  LineReader lines_;
  std::string fault_;
};

// The next byte that is no white space, not passed over; false at the end.
bool peek_nonspace(LineReader& lines, char& c) {
  for (;;) {
    const std::string_view text = lines.peek();
    if (text.empty()) return false;
    const size_t at = text.find_first_not_of(kSpace);
    lines.skip(std::min(at, text.size()));
    if (at == text.npos) continue;
    c = text[at];
    return true;
  }
}

class ArraySource : public RecordReader::Source {
 public:
  /// The bracket has been passed over.
  explicit ArraySource(LineReader lines) : lines_(std::move(lines)) {}

  bool next(Record& record) override {
    char c = 0;
    if (ended_ || !begins_item(c)) return false;
    record = {.text = {}, .file = &lines_.name(), .line = lines_.number() + 1, .item = items_++};
    item_.clear();
    JsonValueEnd end;
    while (!end.found()) {
      const std::string_view text = lines_.peek();
      if (text.empty()) fail("ends early");
      const size_t taken = end.scan(text);
      record.faulty |= item_.size() + taken > LineReader::kMaxLine;
      if (record.faulty)
        item_.clear();
      else
        item_ += text.substr(0, taken);
      lines_.skip(taken);
    }
    if (record.faulty) item_ = too_long("an item");
    item_.reserve(item_.size() + detail::kRecordPadding);
    record.text = item_;
    return true;
  }

 private:
  [[noreturn]] void fail(std::string_view fault) const {
    throw DataError(cat(lines_.name(), ":", lines_.number() + 1, ": the array ", fault,
                        "; is the file complete?"));
  }

  // Goes to the first byte of the next item; false at the array's end.
  bool begins_item(char& c) {
    if (!peek_nonspace(lines_, c)) fail("ends early");
    if (c == ',' && items_ > 0) {
      lines_.skip(1);
      if (!peek_nonspace(lines_, c)) fail("ends early");
      if (c == ']') fail("has a comma at its end");
    } else if (c != ']' && items_ > 0) {
      fail("lacks a comma between items");
    }
    if (c == ']') {
      lines_.skip(1);
      if (peek_nonspace(lines_, c)) fail("is followed by more text");
      ended_ = true;
      return false;
    }
    if (c == ',') fail("has an empty item");
    return true;
  }

  LineReader lines_;
  bool ended_ = false;
  int64_t items_ = 0;
  std::string item_;
};

// The delimiter of a table, by the file's name or its first line; 0 where it is none.
char delimiter_of(std::string name, LineReader& lines) {
  for (const std::string_view end : {".zst", ".zstd"})
    if (name.ends_with(end)) name.resize(name.size() - end.size());
  if (name.ends_with(".csv")) return ',';
  if (name.ends_with(".tsv") || name.ends_with(".tab")) return '\t';
  if (name.ends_with(".json") || name.ends_with(".jsonl") || name.ends_with(".ndjson")) return 0;
  std::string_view line = lines.peek_line(kHeaderLine);
  if (line.ends_with('\r')) line.remove_suffix(1);
  // A row of names: letters, digits, _, -, spaces and quotes, with tabs or commas between.
  const bool names = std::all_of(line.begin(), line.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           static_cast<unsigned char>(c) >= 0x80 ||
           std::string_view("_- \",\t").find(c) != std::string_view::npos;
  });
  if (!names) return 0;
  return line.find('\t') != line.npos ? '\t' : line.find(',') != line.npos ? ',' : '\0';
}

std::unique_ptr<RecordReader::Source> open_json(LineReader lines) {
  char first = 0;
  if (!peek_nonspace(lines, first) || first != '[')
    return std::make_unique<LineSource>(std::move(lines));
  lines.skip(1);
  return std::make_unique<ArraySource>(std::move(lines));
}

std::unique_ptr<RecordReader::Source> open_source(LineReader lines, RecordForm form,
                                                  const std::vector<std::string>& names) {
  switch (form) {
    case RecordForm::kJson:
      return open_json(std::move(lines));
    case RecordForm::kLines:
      return std::make_unique<LineSource>(std::move(lines));
    case RecordForm::kCsv:
      return detail::table_source({std::move(lines), ',', names});
    case RecordForm::kTsv:
      return detail::table_source({std::move(lines), '\t', names});
    case RecordForm::kExamples:
      break;
  }
  const char delimiter = delimiter_of(lines.name(), lines);
  return detail::tree_source(delimiter ? detail::table_source({std::move(lines), delimiter})
                                       : open_json(std::move(lines)));
}

}  // namespace

std::string place_of(const Record& record) {
  const std::string place = cat(*record.file, ":", record.line);
  return record.item < 0 ? place : cat(place, ", item ", record.item);
}

RecordReader::RecordReader(const std::string& path, RecordForm form,
                           const std::vector<std::string>& names)
    : RecordReader(LineReader(path), form, names) {}
RecordReader::RecordReader(LineReader lines, RecordForm form, const std::vector<std::string>& names)
    : source_(open_source(std::move(lines), form, names)) {}
RecordReader::RecordReader(TableReader rows) : source_(detail::table_source(std::move(rows))) {}
RecordReader::~RecordReader() = default;
RecordReader::RecordReader(RecordReader&&) noexcept = default;

bool RecordReader::next(Record& record) {
  return source_->next(record);
}

}  // namespace nibble
