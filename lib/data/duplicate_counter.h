// SPDX-License-Identifier: Apache-2.0
// How many of a stream are copies of something before them, in bounded memory: hashes are kept, and
// where there are too many, those of a half, a quarter, ... of all values, whose copies are counted
// exactly and stand for the rest (Gibbons' distinct sampling).
#pragma once

#include <cstdint>
#include <unordered_map>

namespace nibble {

class DuplicateCounter {
 public:
  explicit DuplicateCounter(size_t most = size_t{1} << 20) : most_(most) {}

  void add(uint64_t hash) {
    if (!kept(hash)) return;
    ++seen_[hash];
    while (seen_.size() > most_) {
      ++level_;
      std::erase_if(seen_, [&](const auto& entry) { return !kept(entry.first); });
    }
  }
  /// Copies beyond the first of each.
  int64_t count() const {
    int64_t copies = 0;
    for (const auto& [hash, times] : seen_) copies += times - 1;
    return copies << level_;
  }
  /// Whether count() is exact but for equal hashes of 64 bits.
  bool exact() const { return level_ == 0; }

 private:
  bool kept(uint64_t hash) const { return level_ == 0 || hash >> (64 - level_) == 0; }

  size_t most_;
  int level_ = 0;
  std::unordered_map<uint64_t, int64_t> seen_;
};

}  // namespace nibble
