// SPDX-License-Identifier: Apache-2.0
#include "score/distinct_ngrams.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/error.h"

namespace nibble {
namespace {

constexpr size_t kPart = 2048;  // pairs of a part: its table, twice as long, is 96 KiB

uint64_t mix(uint64_t key) {
  key ^= key >> 32;
  return key * 0x9E3779B97F4A7C15u;  // Fibonacci hashing: the upper bits are good
}

}  // namespace

// Numbers the words that stand twice; returns how many different ones there are.
double DistinctNgrams::number_words(const NumberedTexts& texts) {
  std::vector<int32_t> seen(static_cast<size_t>(texts.different));
  for (const int32_t word : texts.words) ++seen[static_cast<size_t>(word)];
  numbers_.resize(texts.words.size());
  for (size_t i = 0; i < texts.words.size(); ++i) {
    const int32_t word = texts.words[i];
    numbers_[i] = seen[static_cast<size_t>(word)] > 1 ? word : kNone;
  }
  return static_cast<double>(std::ranges::count_if(seen, [](int32_t n) { return n > 0; }));
}

// Calls use(hash, key, place) for the n-grams that may stand twice; returns how many may not.
template <class Use>
double DistinctNgrams::for_each_pair(const NumberedTexts& texts, size_t order, Use use) const {
  double once = 0.0;
  size_t begin = 0;
  for (const size_t end : texts.ends) {
    for (size_t i = begin; i + order <= end; ++i) {
      const int32_t first = numbers_[i], second = numbers_[i + 1];
      if (first == kNone || second == kNone) {
        ++once;
        continue;
      }
      const uint64_t key =
          uint64_t{static_cast<uint32_t>(first)} << 32 | static_cast<uint32_t>(second);
      use(mix(key), key, i);
    }
    begin = end;
  }
  return once;
}

NgramCounts DistinctNgrams::number_pairs(const NumberedTexts& texts, size_t order) {
  const size_t parts = std::bit_ceil(texts.words.size() / kPart + 1);
  const int shift = 64 - std::countr_zero(parts);
  const auto part_of = [&](uint64_t hash) { return parts == 1 ? 0 : hash >> shift; };
  ends_.assign(parts, 0);
  const double once =
      for_each_pair(texts, order, [&](uint64_t hash, uint64_t, size_t) { ++ends_[part_of(hash)]; });
  size_t pairs = 0;
  for (size_t& end : ends_) pairs += std::exchange(end, pairs);
  pairs_.resize(std::max(pairs_.size(), pairs));
  for_each_pair(texts, order, [&](uint64_t hash, uint64_t key, size_t place) {
    pairs_[ends_[part_of(hash)]++] = {key, place};
  });
  next_.assign(texts.words.size(), kNone);
  given_ = 0;
  double different = once;
  size_t begin = 0;
  for (const size_t end : ends_) {
    different += number_part(std::span(pairs_).subspan(begin, end - begin));
    begin = end;
  }
  numbers_.swap(next_);
  return {once + static_cast<double>(pairs), different};
}

// Numbers the n-grams of a part that stand twice; returns how many different ones it has.
double DistinctNgrams::number_part(std::span<const Pair> pairs) {
  const size_t size = std::bit_ceil(2 * pairs.size() + 2);
  if (slots_.size() < size) {
    slots_.assign(size, {});
    age_ = 0;
  }
  if (++age_ == 0) {
    std::ranges::fill(slots_, Slot());
    age_ = 1;
  }
  double different = 0.0;
  for (const Pair& pair : pairs) {
    size_t at = mix(pair.key) >> 8 & (size - 1);
    while (slots_[at].age == age_ && slots_[at].key != pair.key) at = (at + 1) & (size - 1);
    Slot& slot = slots_[at];
    if (slot.age != age_) {
      slot = {.key = pair.key, .place = pair.place, .number = kNone, .age = age_};
      ++different;
      continue;
    }
    if (slot.number == kNone) next_[slot.place] = slot.number = given_++;
    next_[pair.place] = slot.number;
  }
  return different;
}

std::vector<NgramCounts> DistinctNgrams::count(const NumberedTexts& texts, int most) {
  if (texts.words.size() > INT32_MAX) throw DataError("more words than can be counted");
  std::vector<NgramCounts> counts;
  counts.push_back({static_cast<double>(texts.words.size()), number_words(texts)});
  while (std::ssize(counts) < most) counts.push_back(number_pairs(texts, counts.size() + 1));
  return counts;
}

}  // namespace nibble
