// SPDX-License-Identifier: Apache-2.0
#include "data/split.h"

#include <utility>

namespace nibble {

Side side_of(const Digest& key, const SplitShares& shares) {
  const double at = static_cast<double>(key.low >> 11) * 0x1p-53;
  if (at < shares.test) return Side::kTest;
  return at < shares.test + shares.validation ? Side::kValidation : Side::kTrain;
}

SideTable::SideTable() : keys_(1024), sides_(1024, kFree) {}

size_t SideTable::place_of(uint64_t key) const {
  size_t place = key & (keys_.size() - 1);
  while (sides_[place] != kFree && keys_[place] != key) place = (place + 1) & (keys_.size() - 1);
  return place;
}

void SideTable::grow() {
  const std::vector<uint64_t> keys = std::exchange(keys_, std::vector<uint64_t>(2 * keys_.size()));
  const std::vector<uint8_t> sides =
      std::exchange(sides_, std::vector<uint8_t>(keys_.size(), kFree));
  for (size_t i = 0; i < keys.size(); ++i) {
    if (sides[i] == kFree) continue;
    const size_t place = place_of(keys[i]);
    keys_[place] = keys[i];
    sides_[place] = sides[i];
  }
}

Side StratifiedSplit::side_of(const Digest& key, const Digest& stratum) {
  return sides_.at(key.low, [&] {
    auto dealer = dealers_.find(stratum);
    if (dealer == dealers_.end()) {
      const double shares[kSides] = {1 - shares_.validation - shares_.test, shares_.validation,
                                     shares_.test};
      dealer = dealers_.emplace(stratum, Dealer(shares, seed_, stratum.low)).first;
    }
    return static_cast<Side>(dealer->second.next());
  });
}

}  // namespace nibble
