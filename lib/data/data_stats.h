// SPDX-License-Identifier: Apache-2.0
// Statistics of a data file, gathered as its samples stream by, in bounded memory.
#pragma once

#include <array>
#include <string>

#include "data/duplicate_counter.h"
#include "data/length_counts.h"
#include "data/sample_reader.h"
#include "io/json.h"

namespace nibble {

class DataStats {
 public:
  void add(const SampleRecord& record);

  /// One document: kind, counts, lengths with quantiles and histogram, share trained on, fill of a
  /// shard, duplicates, scripts, longest and shortest, mistakes with the first place of each.
  Json report(const std::string& path, const SampleFile& file, int64_t bad_records) const;

 private:
  int64_t records_ = 0, samples_ = 0, turns_ = 0, trained_ = 0;
  int64_t chosen_ = 0, desirable_ = 0, undesirable_ = 0;
  bool tokens_ = false, text_ = false;
  LengthCounts lengths_;
  DuplicateCounter duplicates_;
  std::array<int64_t, kScripts> scripts_{};
  struct Extreme {
    int64_t length = -1;
    std::string place;
  } longest_, shortest_;
  struct Seen {
    int64_t count = 0;
    std::string first;
  };
  std::array<Seen, kMistakes> mistakes_;
};

/// The report of a whole file.
Json file_stats(const std::string& path, const SampleRules& rules, BadRecords& bad);

/// The report as a table for people.
std::string render_stats(const Json& report);

}  // namespace nibble
