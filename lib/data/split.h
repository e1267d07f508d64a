// SPDX-License-Identifier: Apache-2.0
// Splitting data for training, validation and test, so that a record keeps its side when others
// come: its side is a hash's, of the whole record or of some of its members, and records that agree
// in them stay together. Without strata nothing is remembered. With them every stratum is dealt its
// shares as its records come, to within two, and sides are remembered, 12 to 24 bytes a record.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/siphash.h"
#include "data/deal.h"

namespace nibble {

enum class Side : uint8_t { kTrain, kValidation, kTest };
constexpr size_t kSides = 3;

struct SplitShares {
  double validation = 0, test = 0;  // of all; training has the rest
};

/// The side of what has that digest: the same as long as `test` is, and never training because
/// shares grew.
Side side_of(const Digest& key, const SplitShares& shares);

/// A table of sides by digest, open addressing.
class SideTable {
 public:
  SideTable();
  /// The key's side, or where it is new, what `choose` says.
  template <class Choose>
  Side at(uint64_t key, Choose choose);
  size_t size() const { return size_; }

 private:
  static constexpr uint8_t kFree = 255;
  void grow();
  size_t place_of(uint64_t key) const;
  std::vector<uint64_t> keys_;
  std::vector<uint8_t> sides_;
  size_t size_ = 0;
};

/// Splits by strata.
class StratifiedSplit {
 public:
  StratifiedSplit(const SplitShares& shares, uint64_t seed) : shares_(shares), seed_(seed) {}
  /// The side of a key, in the stratum of its first record.
  Side side_of(const Digest& key, const Digest& stratum);
  size_t strata() const { return dealers_.size(); }

 private:
  SplitShares shares_;
  uint64_t seed_;
  SideTable sides_;
  std::map<Digest, Dealer> dealers_;
};

template <class Choose>
Side SideTable::at(uint64_t key, Choose choose) {
  size_t place = place_of(key);
  if (sides_[place] != kFree) return static_cast<Side>(sides_[place]);
  if (4 * (size_ + 1) > 3 * keys_.size()) {
    grow();
    place = place_of(key);
  }
  ++size_;
  keys_[place] = key;
  const Side side = choose();
  sides_[place] = static_cast<uint8_t>(side);
  return side;
}

}  // namespace nibble
