// SPDX-License-Identifier: Apache-2.0
#include "score/lcs.h"

#include <algorithm>
#include <bit>

namespace nibble {

void LcsReference::set(std::span<const int32_t> reference, int32_t words) {
  reference_ = reference;
  blocks_ = (reference.size() + 63) / 64;
  places_.assign(static_cast<size_t>(words), -1);
  masks_.clear();
  int32_t known = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    int32_t& place = places_[static_cast<size_t>(reference[i])];
    if (place < 0) {
      place = known++;
      masks_.resize(masks_.size() + blocks_);
    }
    masks_[static_cast<size_t>(place) * blocks_ + i / 64] |= uint64_t{1} << (i % 64);
  }
}

// A column is kept inverted: a zero where the subsequence grows.
void LcsReference::step(int32_t word, std::span<const uint64_t> before,
                        std::span<uint64_t> now) const {
  const int32_t place =
      static_cast<size_t>(word) < places_.size() ? places_[static_cast<size_t>(word)] : -1;
  if (place < 0) {
    std::ranges::copy(before, now.begin());
    return;
  }
  const uint64_t* mask = masks_.data() + static_cast<size_t>(place) * blocks_;
  uint64_t carry = 0;
  for (size_t b = 0; b < blocks_; ++b) {
    const uint64_t v = before[b], matched = v & mask[b];
    uint64_t sum = v + matched;
    uint64_t over = sum < v;
    sum += carry;
    over |= sum < carry;
    carry = over;
    now[b] = sum | (v & ~mask[b]);
  }
}

int64_t LcsReference::length(std::span<const int32_t> hypothesis) {
  columns_.assign(blocks_, ~uint64_t{0});
  for (const int32_t word : hypothesis) step(word, columns_, columns_);
  int64_t zeros = 0;
  for (size_t b = 0; b < blocks_; ++b) {
    const size_t bits = std::min<size_t>(64, reference_.size() - 64 * b);
    const uint64_t inside = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
    zeros += std::popcount(~columns_[b] & inside);
  }
  return zeros;
}

void LcsReference::mark(std::span<const int32_t> hypothesis, std::span<char> marks) {
  const size_t n = hypothesis.size();
  columns_.assign(blocks_ * (n + 1), ~uint64_t{0});
  for (size_t j = 0; j < n; ++j)
    step(hypothesis[j], std::span(columns_).subspan(j * blocks_, blocks_),
         std::span(columns_).subspan((j + 1) * blocks_, blocks_));
  size_t i = reference_.size(), j = n;
  while (i > 0 && j > 0) {
    const size_t at = i - 1;
    if (reference_[at] == hypothesis[j - 1]) {
      marks[at] = 1;
      --i;
      --j;
    } else if ((columns_[j * blocks_ + at / 64] >> (at % 64) & 1) == 0) {
      --j;  // without reference word i it would be shorter
    } else {
      --i;
    }
  }
}

}  // namespace nibble
