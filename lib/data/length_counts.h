// SPDX-License-Identifier: Apache-2.0
// Quantiles of lengths in bounded memory: exact up to 4096, above it within 1/2048 of the length.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace nibble {

class LengthCounts {
 public:
  void add(int64_t length) {
    const size_t at = slot(length);
    if (at >= counts_.size()) counts_.resize(at + 1);
    ++counts_[at];
    ++total_;
    sum_ += length;
  }
  int64_t total() const { return total_; }
  int64_t sum() const { return sum_; }
  /// The smallest length that at least share q of all are not above.
  int64_t quantile(double q) const {
    auto want = static_cast<int64_t>(q * static_cast<double>(total_));
    if (static_cast<double>(want) < q * static_cast<double>(total_) || want == 0) ++want;
    for (size_t at = 0; at < counts_.size(); ++at)
      if ((want -= counts_[at]) <= 0) return value(at);
    return 0;
  }
  /// How many are in [low, high).
  int64_t between(int64_t low, int64_t high) const {
    int64_t n = 0;
    for (size_t at = slot(low); at < counts_.size() && value(at) < high; ++at) n += counts_[at];
    return n;
  }

 private:
  static constexpr int kBits = 11;  // of a length's leading bits that are kept
  static size_t slot(int64_t length) {
    const auto n = static_cast<uint64_t>(length < 0 ? 0 : length);
    const int shift = std::max(0, static_cast<int>(std::bit_width(n)) - (kBits + 1));
    return (static_cast<size_t>(shift) << kBits) + static_cast<size_t>(n >> shift);
  }
  static int64_t value(size_t at) {
    const size_t shift = at >> kBits > 0 ? (at >> kBits) - 1 : 0;
    return static_cast<int64_t>((at - (shift << kBits)) << shift);
  }

  std::vector<int64_t> counts_;
  int64_t total_ = 0, sum_ = 0;
};

}  // namespace nibble
