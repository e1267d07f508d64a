// SPDX-License-Identifier: Apache-2.0
// Records of files (record_reader.h), read as a stream and worked on by all threads in order.
// Memory is bounded by some batches, whatever the size of the input.
#pragma once

#include <simdjson.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "base/profile.h"
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

/// Whether `use` touches nothing that `work` reads. The records before are then used, and those
/// that come next read, while others are worked on.
enum class Overlap : bool { kNo, kYes };

namespace detail {
/// Records copied out of their reader, some thousands of one file.
struct RecordBatch {
  std::vector<Record> records;
  std::string text;
  bool begins = false;                         // the first of its file
  std::shared_ptr<const RecordReader> reader;  // has the file's name
  std::vector<std::string> faults;             // of each record; empty: there is none
};

class RecordBatches {
 public:
  RecordBatches(std::vector<std::string> files, RecordForm form);
  /// Leaves the batch empty at the end.
  void next(RecordBatch& batch);

 private:
  std::vector<std::string> files_;
  RecordForm form_;
  size_t opened_ = 0;
  std::shared_ptr<RecordReader> reader_;
};

/// Calls first(), second() and body(begin, end) for parts of [0, n), each once, shared out to all
/// threads as they come free. The last parts are of one, so that threads end together.
template <class First, class Second, class Body>
void share_out(int64_t n, const First& first, const Second& second, const Body& body) {
  constexpr int64_t kPart = 16;
  const int64_t whole = std::max<int64_t>(0, n / kPart - threads());  // parts of kPart
  const int64_t parts = whole + (n - whole * kPart);
  std::atomic<int64_t> next = 0;
  parallel_for(std::min<int64_t>(threads(), parts + 2), 1, [&](int64_t, int64_t) {
    for (int64_t i; (i = next++) < parts + 2;) {
      const int64_t part = i - 2, single = whole * kPart + (part - whole);
      if (i == 0)
        first();
      else if (i == 1)
        second();
      else if (part < whole)
        body(part * kPart, (part + 1) * kPart);
      else
        body(single, single + 1);
    }
  });
}
}  // namespace detail

/// What a profile calls the two halves of map_records: what all threads do, and what is done in
/// order.
struct RecordPhases {
  const char* work = "parse";
  const char* use = "use in order";
};

/// Calls work(record, result) for every record of the files (standard input where there are none)
/// with all threads, then use(record, result) for each in order. A DataError of `work` counts as a
/// bad record, its text put after the record's place; any other exception ends it all. Results are
/// reused: work must set all of a Result. begin_file(records) sees the first records of every file.
/// With Overlap::kYes a profile counts reading and using as part of the work.
template <class Result, class Work, class Use>
void map_records(const std::vector<std::string>& files, BadRecords& bad, Work work, Use use,
                 const std::function<void(std::span<const Record>)>& begin_file = {},
                 RecordForm form = RecordForm::kJson, Overlap overlap = Overlap::kNo,
                 RecordPhases phases = {}) {
  struct Lot : detail::RecordBatch {
    std::vector<Result> results;
  };
  detail::RecordBatches batches(files, form);
  Lot before, now, later;
  std::exception_ptr unread;  // what reading `later` has thrown: it comes after what is before it
  const auto settle = [&](Lot& batch) {
    for (size_t i = 0; i < batch.records.size(); ++i) {
      const Record& record = batch.records[i];
      if (batch.faults[i].empty())
        use(record, batch.results[i]);
      else
        bad.add(cat(place_of(record), ": ", batch.faults[i]));
    }
    batch.records.clear();
  };
  const auto read_on = [&] {
    try {
      batches.next(later);
    } catch (...) {
      later.records.clear();
      unread = std::current_exception();
    }
  };
  const auto make = [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      const Record& record = now.records[i];
      if (record.faulty) {
        now.faults[i] = record.text;
        continue;
      }
      try {
        work(record, now.results[i]);
      } catch (const DataError& e) {
        now.faults[i] = e.what();
      }
    }
  };
  for (batches.next(now); !now.records.empty();) {
    const size_t count = now.records.size();
    if (begin_file && now.begins) begin_file(now.records);
    now.results.resize(std::max(now.results.size(), count));
    now.faults.assign(count, {});
    const auto bytes = static_cast<double>(now.text.size());
    if (overlap == Overlap::kNo) {
      {
        Span span(phases.work);
        span.add(0.0, bytes);
        parallel_for(static_cast<int64_t>(count), 16, make);
      }
      {
        Span span(phases.use);
        span.add(0.0, bytes);
        settle(now);
      }
      batches.next(now);
      continue;
    }
    Span span(phases.work);
    span.add(0.0, bytes);
    detail::share_out(
        static_cast<int64_t>(count), [&] { settle(before); }, read_on, make);
    std::swap(before, now);
    std::swap(now, later);
  }
  settle(before);
  if (unread) std::rethrow_exception(unread);
}

}  // namespace nibble
