// SPDX-License-Identifier: Apache-2.0
#include "data/split.h"

namespace nibble {

Side side_of(const Digest& key, const SplitShares& shares) {
  const double at = static_cast<double>(key.low >> 11) * 0x1p-53;
  if (at < shares.test) return Side::kTest;
  return at < shares.test + shares.validation ? Side::kValidation : Side::kTrain;
}

Side StratifiedSplit::side_of(const Digest& key, const Digest& stratum) {
  if (const uint8_t* known = sides_.find(key.low)) return static_cast<Side>(*known);
  auto dealer = dealers_.find(stratum);
  if (dealer == dealers_.end()) {
    const double shares[kSides] = {1 - shares_.validation - shares_.test, shares_.validation,
                                   shares_.test};
    dealer = dealers_.emplace(stratum, Dealer(shares, seed_, stratum.low)).first;
  }
  const size_t side = dealer->second.next();
  sides_.insert(key.low, static_cast<uint8_t>(side));
  return static_cast<Side>(side);
}

}  // namespace nibble
