// SPDX-License-Identifier: Apache-2.0
// Near duplicates by MinHash-LSH (Broder 1997; Indyk & Motwani 1998): each set's K minima are cut
// into bands of some rows; two sets that agree in all of a band are candidates, and each
// candidate's Jaccard similarity is computed from the sets themselves, so that nothing is found
// that is not so. With b bands of r rows a pair of similarity s is missed with a probability of (1
// - s^r)^b.
//
// Memory: 8 bytes a band and set in tables that are 53% to 80% full, and 12 bytes more, whatever
// the sets' sizes; the sets lie in a temporary file, 8 bytes a member.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "io/spool.h"

namespace nibble {

struct Bands {
  int64_t count = 0, rows = 0;
};
/// The bands of most rows among those of 128 minima at most that miss a pair at the threshold with
/// a probability of 1/200 at most: the fewest candidates that are none.
Bands bands_for(double threshold);

/// Which of what was added had that key, open addressing. Keys are hashes of 32 bits, and a key's
/// place is in proportion to it, so that the table can grow by any factor.
class BandTable {
 public:
  BandTable();
  void add(uint32_t key, uint32_t number);
  /// Appends the numbers added with that key.
  void find(uint32_t key, std::vector<uint32_t>& numbers) const;
  void prefetch(uint32_t key) const { __builtin_prefetch(&entries_[place_of(key)]); }

 private:
  static constexpr uint32_t kFree = 0xFFFFFFFF;
  struct Entry {
    uint32_t key = 0, number = kFree;
  };
  size_t place_of(uint32_t key) const {
    return static_cast<size_t>(uint64_t{key} * entries_.size() >> 32);
  }
  void put(Entry entry);
  std::vector<Entry> entries_;
  size_t used_ = 0;
};

class NearIndex {
 public:
  /// threshold in (0, 1].
  NearIndex(double threshold, uint64_t seed);

  struct Sketch {
    std::vector<uint64_t> shingles;  // a set, sorted
    std::vector<uint32_t> keys;      // (bands)
  };
  /// Makes the keys of the shingles. May be called by several threads at once.
  void sketch(Sketch& sketch) const;

  struct Match {
    int64_t number = 0;
    double similarity = 0;
  };
  /// The first set added whose similarity is at least the threshold. A set without members is like
  /// none.
  std::optional<Match> find(const Sketch& sketch);
  /// Adds a set; they are numbered from 0.
  void add(const Sketch& sketch);

  const Bands& bands() const { return bands_; }

 private:
  double threshold_;
  Bands bands_;
  std::vector<uint32_t> seeds_;  // (bands * rows)
  std::vector<BandTable> tables_;
  Spool sets_;
  std::vector<uint64_t> offsets_;
  std::vector<uint32_t> sizes_;
  std::vector<uint32_t> candidates_;
  std::vector<uint64_t> other_;
};

}  // namespace nibble
