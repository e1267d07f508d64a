// SPDX-License-Identifier: Apache-2.0
// How many different n-grams texts have, of every order up to a longest. An n-gram is the pair of
// the two (n-1)-grams in it, and one that stands once makes all longer ones around it stand once:
// so only pairs of repeated ones are looked up, dealt by their hashes to tables that fit a core's
// cache. Equal keys are equal n-grams: nothing is left to a hash's luck.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace nibble {

/// The words of texts, by number, one text after another.
struct NumberedTexts {
  std::vector<int32_t> words;
  std::vector<size_t> ends;  // of the texts, in `words`
  int32_t different = 0;     // words are numbered below
};

struct NgramCounts {
  double all = 0.0, different = 0.0;
};

class DistinctNgrams {
 public:
  /// Of orders 1 to `most`. Scratch memory is kept for the next call.
  std::vector<NgramCounts> count(const NumberedTexts& texts, int most);

 private:
  // An n-gram that stands once has no number; nor has a place where none begins.
  static constexpr int32_t kNone = -1;
  struct Pair {
    uint64_t key;
    size_t place;
  };
  struct Slot {
    uint64_t key;
    size_t place;    // where it stands first
    int32_t number;  // kNone until it is seen again
    uint32_t age;
  };
  double number_words(const NumberedTexts& texts);
  NgramCounts number_pairs(const NumberedTexts& texts, size_t order);
  double number_part(std::span<const Pair> pairs);
  template <class Use>
  double for_each_pair(const NumberedTexts& texts, size_t order, Use use) const;

  std::vector<int32_t> numbers_, next_;  // of the n-grams at each place: of this order, of the next
  std::vector<Pair> pairs_;
  std::vector<size_t> ends_;  // of the parts of `pairs_`
  std::vector<Slot> slots_;
  uint32_t age_ = 0;
  int32_t given_ = 0;  // numbers of this order
};

}  // namespace nibble
