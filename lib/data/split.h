// SPDX-License-Identifier: Apache-2.0
// Splitting data for training, validation and test, so that a record keeps its side when others
// come: its side is a hash's, of the whole record or of some of its members, and records that agree
// in them stay together. Without strata nothing is remembered. With them every stratum is dealt its
// shares as its records come, to within two, and sides are remembered, 12 to 24 bytes a record.
#pragma once

#include <cstdint>
#include <map>

#include "base/flat_table.h"
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
  FlatTable<uint64_t, uint8_t> sides_;
  std::map<Digest, Dealer> dealers_;
};

}  // namespace nibble
