// SPDX-License-Identifier: Apache-2.0
// Dealing: one thing after another to parts, at random, such that at every moment each part has its
// share of what was dealt to within two things. A part is drawn in proportion to what it lacks; one
// that lacks a whole thing comes first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace nibble {

class Dealer {
 public:
  /// Shares are positive or zero, of any sum above zero. `stream` tells dealers of one seed apart.
  Dealer(std::span<const double> shares, uint64_t seed, uint64_t stream);

  /// The part that the next thing goes to.
  size_t next();
  /// Takes a part out of the game; the others share what comes as before among themselves.
  void close(size_t part);

 private:
  std::vector<double> shares_, lacking_;
  uint64_t seed_, stream_, dealt_ = 0;
};

}  // namespace nibble
