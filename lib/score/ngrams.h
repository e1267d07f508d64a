// SPDX-License-Identifier: Apache-2.0
// N-grams by number: words are numbered in the order in which they come, and an n-gram is the pair
// of the (n-1)-gram before its last word and that word, numbered likewise. Equal numbers are equal
// n-grams: nothing is left to a hash's luck. Tables are emptied in constant time, so that one is
// used for every example.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace nibble {

/// Numbers pairs of numbers.
class PairIds {
 public:
  /// The pair's number, a new one where it has none.
  int32_t add(int32_t first, int32_t second);
  /// The pair's number, or -1.
  int32_t find(int32_t first, int32_t second) const;
  int32_t size() const { return size_; }
  void clear();
  /// Whether slots are too many for the caches, so that fetching them beforehand pays.
  bool large() const { return slots_.size() > size_t{1} << 14; }
  void fetch(int32_t first, int32_t second) const;

 private:
  struct Slot {
    uint64_t key = 0;
    int32_t id = 0;
    uint32_t age = 0;  // filled since the last clear() where it is age_
  };
  size_t slot_of(uint64_t key) const;
  void grow();

  std::vector<Slot> slots_ = std::vector<Slot>(64);
  int shift_ = 58;
  int32_t size_ = 0;
  uint32_t age_ = 1;
};

/// Numbers words. It keeps views: the texts must outlive clear().
class WordIds {
 public:
  int32_t add(std::string_view word);
  int32_t find(std::string_view word) const;
  int32_t size() const { return static_cast<int32_t>(words_.size()); }
  std::string_view operator[](int32_t id) const { return words_[static_cast<size_t>(id)]; }
  void clear();

 private:
  struct Slot {
    uint64_t hash = 0;
    int32_t id = 0;
    uint32_t age = 0;
  };
  size_t slot_of(std::string_view word, uint64_t hash) const;
  void grow();

  std::vector<Slot> slots_ = std::vector<Slot>(64);
  std::vector<std::string_view> words_;
  uint32_t age_ = 1;
};

/// The n-grams of one text, by number: those of order 1, then of order 2, ...
class Ngrams {
 public:
  /// Numbers all n-grams of orders 1 to `most` of the words (or characters).
  void read(PairIds& ids, std::span<const int32_t> words, int most);
  /// Likewise without numbering anew: -1 for n-grams that have no number.
  void look_up(const PairIds& ids, std::span<const int32_t> words, int most);

  /// Of one order, 1 to `most`, where the text has it from left to right.
  std::span<const int32_t> order(int n) const {
    const auto i = static_cast<size_t>(n);
    return std::span(ids_).subspan(begins_[i - 1], begins_[i] - begins_[i - 1]);
  }
  std::span<const int32_t> all() const { return ids_; }

 private:
  template <class Number>
  void fill(const PairIds& ids, std::span<const int32_t> words, int most, Number number);
  std::vector<int32_t> ids_;
  std::vector<size_t> begins_;
};

/// How often n-grams may be matched: as often as the reference has them that has them most often.
class Clip {
 public:
  void clear();
  /// One reference's n-grams, of numbers below `ids`.
  void add(std::span<const int32_t> ngrams, int32_t ids);
  /// How many of the n-grams are matched, calling use(ngram) for each. All n-grams of one order
  /// must be given together.
  template <class Use>
  int64_t match(std::span<const int32_t> ngrams, Use use) {
    int64_t matched = 0;
    for (const int32_t ngram : ngrams) {
      if (ngram < 0 || static_cast<size_t>(ngram) >= left_.size()) continue;
      int32_t& left = left_[static_cast<size_t>(ngram)];
      if (left == 0) continue;
      --left;
      ++matched;
      use(ngram);
    }
    return matched;
  }
  int64_t match(std::span<const int32_t> ngrams) {
    return match(ngrams, [](int32_t) {});
  }

 private:
  std::vector<int32_t> left_, seen_;  // by n-gram
  std::vector<int32_t> used_;  // those that left_ is set for: numbers may be a whole corpus's
};

}  // namespace nibble
