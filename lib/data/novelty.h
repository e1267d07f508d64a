// SPDX-License-Identifier: Apache-2.0
// Novelty as Self-Instruct has it (Wang et al. 2023): a text is novel where its ROUGE-L F-measure
// (Lin 2004) with each one kept before is below a threshold,
//   F = 2 LCS(a, b) / (|a| + |b|), LCS the longest common subsequence of their words.
// Exact, yet not with every pair: the texts that share too few words to matter are never looked at
// (an inverted index, from the rarest words on), and subsequences are counted 64 words at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nibble {

/// Words as numbers, from 0 in the order in which they come.
class WordNumbers {
 public:
  /// `words` as append_words makes them.
  void number(std::string_view words, std::vector<uint32_t>& numbers);
  size_t size() const { return numbers_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view word) const;
  };
  std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>> numbers_;
};

/// One text made ready to be compared with many: the longest common subsequence by bits (Allison &
/// Dix, "A bit-string longest-common-subsequence algorithm", 1986; Hyyrö 2004).
class SubsequencePattern {
 public:
  explicit SubsequencePattern(std::span<const uint32_t> words);
  /// `state` is scratch.
  int64_t common(std::span<const uint32_t> other, std::vector<uint64_t>& state) const;

 private:
  size_t length_, blocks_;
  std::unordered_map<uint32_t, size_t> rows_;  // of masks, from 1; row 0 is of words not in it
  std::vector<uint64_t> masks_;                // (words + 1, blocks)
};

class Novelty {
 public:
  /// threshold in (0, 1].
  explicit Novelty(double threshold) : threshold_(threshold) {}

  struct Match {
    int64_t number = 0;
    double f_measure = 0;
  };
  /// The first text kept whose F-measure is at least the threshold, by all threads.
  std::optional<Match> find(std::span<const uint32_t> words) const;
  /// Keeps a text; they are numbered from 0.
  void add(std::span<const uint32_t> words);

 private:
  std::vector<uint32_t> candidates(std::span<const uint32_t> words) const;
  std::span<const uint32_t> text(size_t number) const;

  double threshold_;
  std::vector<uint32_t> words_;                    // of all texts, one after another
  std::vector<uint64_t> ends_;                     // of the texts in them
  std::vector<std::vector<uint32_t>> texts_with_;  // by word
};

}  // namespace nibble
