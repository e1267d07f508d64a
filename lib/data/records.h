// SPDX-License-Identifier: Apache-2.0
// Records of files (record_reader.h), read as a stream and worked on by all threads in order.
// Memory is bounded by some batches, whatever the size of the input.
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
#include "data/record_reader.h"

namespace nibble {

/// Parses a record. The value is good until this thread's next call. Throws DataError.
simdjson::dom::element parse_record(std::string_view text);

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
        if (batch[i].faulty) {
          faults[i] = batch[i].text;
          continue;
        }
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
