// SPDX-License-Identifier: Apache-2.0
#include "data/deal.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"

namespace nibble {
namespace {

void make_sum_one(std::vector<double>& shares) {
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (sum <= 0) return;
  for (double& share : shares) share /= sum;
}

}  // namespace

Dealer::Dealer(std::span<const double> shares, uint64_t seed, uint64_t stream)
    : shares_(shares.begin(), shares.end()), lacking_(shares.size()), seed_(seed), stream_(stream) {
  CHECK(!shares.empty());
  for (const double share : shares) CHECK(share >= 0);
  make_sum_one(shares_);
}

size_t Dealer::next() {
  // What the parts lack sums to one thing now, so that some part lacks something.
  double sum = 0;
  for (size_t i = 0; i < shares_.size(); ++i) {
    lacking_[i] += shares_[i];
    if (shares_[i] > 0) sum += std::max(lacking_[i], 0.0);
  }
  size_t chosen =
      static_cast<size_t>(std::max_element(lacking_.begin(), lacking_.end()) - lacking_.begin());
  if (lacking_[chosen] < 1) {
    const auto words = philox(seed_, stream_, dealt_);
    const uint64_t bits = uint64_t{words[0]} << 21 | words[1] >> 11;
    double at = static_cast<double>(bits) * 0x1p-53 * sum;
    for (size_t i = 0; i < shares_.size(); ++i) {
      if (shares_[i] <= 0 || lacking_[i] <= 0) continue;
      chosen = i;
      if ((at -= lacking_[i]) < 0) break;
    }
  }
  lacking_[chosen] -= 1;
  ++dealt_;
  return chosen;
}

void Dealer::close(size_t part) {
  shares_[part] = lacking_[part] = 0;
  make_sum_one(shares_);
  // What the others lack sums to nothing again.
  double sum = 0;
  for (const double lacking : lacking_) sum += lacking;
  for (size_t i = 0; i < shares_.size(); ++i) lacking_[i] -= sum * shares_[i];
}

}  // namespace nibble
