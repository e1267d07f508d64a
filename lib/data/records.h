// SPDX-License-Identifier: Apache-2.0
// Records: the JSON values of a JSONL file, one a line, or the items of one JSON array, read as a
// stream and worked on by all threads in order. Memory is bounded by some batches, whatever the
// size of the input.
#pragma once

#include <simdjson.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/threads.h"
#include "io/lines.h"

namespace nibble {

/// One record's JSON text, not yet parsed, with at least 64 readable bytes behind it.
struct Record {
  std::string_view text;
  const std::string* file = nullptr;
  int64_t line = 0;   // 1-based, where it starts
  int64_t item = -1;  // 0-based position in a JSON array; -1: a line of JSONL
};

/// "train.jsonl:812", or "alpaca.json:1, item 811" in an array.
std::string place_of(const Record& record);

/// Parses a record. The value is good until this thread's next call. Throws DataError.
simdjson::dom::element parse_record(std::string_view text);

/// Whether a file's records are JSON values, or its lines as they stand.
enum class RecordForm : uint8_t { kJson, kLines };

/// Reads the records of one file (or "-") after another.
class RecordReader {
 public:
  explicit RecordReader(const std::string& path, RecordForm form = RecordForm::kJson);

  /// The next record, or false at the end; valid until the next call. Blank lines are passed over.
  /// Throws DataError where an array is not well formed.
  bool next(Record& record);

 private:
  bool next_item(Record& record);
  bool peek_nonspace(char& c);

  LineReader lines_;
  RecordForm form_;
  bool started_ = false, array_ = false, ended_ = false;
  int64_t items_ = 0;
  std::string item_;
};

/// What is to be done with records that cannot be read: throw, or count and go on.
class BadRecords {
 public:
  static constexpr int64_t kAll = 1'000'000'000'000'000'000;
  /// As many as `allowed` are passed over, each told to `say`.
  BadRecords(int64_t allowed, std::function<void(const std::string&)> say)
      : allowed_(allowed), say_(std::move(say)) {}

  /// Throws DataError with the text where no more may be bad.
  void add(const std::string& text);
  int64_t count() const { return count_; }

 private:
  int64_t allowed_, count_ = 0;
  std::function<void(const std::string&)> say_;
};

namespace detail {
/// Records copied out of their readers, some thousands at a time, never from two files.
class RecordBatches {
 public:
  RecordBatches(std::vector<std::string> files, RecordForm form);
  bool next(std::vector<Record>& batch);
  /// Whether the batch is the first of its file.
  bool begins() const { return begins_; }

 private:
  std::vector<std::string> files_;
  RecordForm form_;
  bool begins_ = false;
  size_t opened_ = 0;
  std::unique_ptr<RecordReader> reader_;
  std::string text_;
};
}  // namespace detail

/// Calls work(record, result) for every record of the files (standard input where there are none)
/// with all threads, then use(record, result) for each in order. A DataError of `work` counts as a
/// bad record, its text put after the record's place; any other exception ends it all. Results are
/// reused: work must set all of a Result. begin_file(records) sees the first records of every file.
template <class Result, class Work, class Use>
void map_records(const std::vector<std::string>& files, BadRecords& bad, Work work, Use use,
                 const std::function<void(std::span<const Record>)>& begin_file = {},
                 RecordForm form = RecordForm::kJson) {
  detail::RecordBatches batches(files, form);
  std::vector<Record> batch;
  std::vector<Result> results;
  std::vector<std::string> faults;
  while (batches.next(batch)) {
    if (begin_file && batches.begins()) begin_file(batch);
    results.resize(std::max(results.size(), batch.size()));
    faults.assign(batch.size(), {});
    parallel_for(std::ssize(batch), 16, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        try {
          work(batch[i], results[i]);
        } catch (const DataError& e) {
          faults[i] = e.what();
        }
      }
    });
    for (size_t i = 0; i < batch.size(); ++i) {
      if (faults[i].empty())
        use(batch[i], results[i]);
      else
        bad.add(cat(place_of(batch[i]), ": ", faults[i]));
    }
  }
}

}  // namespace nibble
