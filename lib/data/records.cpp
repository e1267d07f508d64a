// SPDX-License-Identifier: Apache-2.0
#include "data/records.h"

#include "base/error.h"
#include "io/json_fault.h"

namespace nibble {
namespace {

constexpr size_t kBatchBytes = size_t{2} << 20;
constexpr size_t kBatchRecords = 8192;

}  // namespace

simdjson::dom::element parse_record(std::string_view text) {
  thread_local simdjson::dom::parser parser;
  simdjson::dom::element value;
  if (const auto error = parser.parse(text.data(), text.size(), false).get(value))
    throw DataError(cat("malformed JSON: ", json_fault(error)));
  return value;
}

void BadRecords::add(const std::string& text) {
  if (count_ >= allowed_) {
    if (allowed_ == 0) throw DataError(text + (say_ ? "; mend it or use --skip-bad" : "; mend it"));
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

void RecordBatches::next(RecordBatch& batch) {
  Span span("find records");
  std::vector<Record>& records = batch.records;
  std::string& text = batch.text;
  records.clear();
  text.clear();
  batch.begins = false;
  std::vector<size_t> offsets;
  while (records.empty()) {
    if (!reader_) {
      if (opened_ == files_.size()) return;
      reader_ = std::make_shared<RecordReader>(files_[opened_++], form_);
      batch.begins = true;
    }
    Record record;
    bool more = true;
    while (text.size() < kBatchBytes && records.size() < kBatchRecords &&
           (more = reader_->next(record))) {
      offsets.push_back(text.size());
      text += record.text;
      records.push_back(record);
    }
    batch.reader = reader_;
    if (!more && records.empty()) reader_.reset();
  }
  span.add(0.0, static_cast<double>(text.size()));
  text.append(kRecordPadding, '\0');
  for (size_t i = 0; i < records.size(); ++i)
    records[i].text = std::string_view(text).substr(offsets[i], records[i].text.size());
}

}  // namespace detail

}  // namespace nibble
