// SPDX-License-Identifier: Apache-2.0
// Longest common subsequences of two rows of words, 64 cells of the dynamic programme at a time
// (Hyyrö, 2004): bit i of a column says whether reference word i makes the subsequence longer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace nibble {

/// A reference, made ready to be compared with several hypotheses.
class LcsReference {
 public:
  /// The words are numbers below `words`.
  void set(std::span<const int32_t> reference, int32_t words);

  /// The length of a longest common subsequence.
  int64_t length(std::span<const int32_t> hypothesis);
  /// Adds to `marks` (one a reference word) the positions of one longest common subsequence: the
  /// one found from the ends, going back in the reference wherever that costs nothing.
  void mark(std::span<const int32_t> hypothesis, std::span<char> marks);

 private:
  // Column after one more hypothesis word: `now` of `before`.
  void step(int32_t word, std::span<const uint64_t> before, std::span<uint64_t> now) const;

  std::span<const int32_t> reference_;
  size_t blocks_ = 0;
  std::vector<int32_t> places_;  // of a word among the masks; -1: not in the reference
  std::vector<uint64_t> masks_;  // where a word stands in the reference
  std::vector<uint64_t> columns_;
};

}  // namespace nibble
