// SPDX-License-Identifier: Apache-2.0
#include "score/ngrams.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/hash64.h"

namespace nibble {
namespace {

uint64_t mix(uint64_t key) {
  key ^= key >> 32;
  return key * 0x9E3779B97F4A7C15u;  // Fibonacci hashing: the upper bits are good
}

uint64_t key_of(int32_t first, int32_t second) {
  return uint64_t{static_cast<uint32_t>(first)} << 32 | static_cast<uint32_t>(second);
}

}  // namespace

// The pair's slot, or the empty one where it belongs.
size_t PairIds::slot_of(uint64_t key) const {
  size_t at = mix(key) >> shift_;
  while (slots_[at].age == age_ && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
  return at;
}

void PairIds::grow() {
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
  --shift_;
  for (const Slot& slot : old)
    if (slot.age == age_) slots_[slot_of(slot.key)] = slot;
}

int32_t PairIds::add(int32_t first, int32_t second) {
  const uint64_t key = key_of(first, second);
  size_t at = slot_of(key);
  if (slots_[at].age == age_) return slots_[at].id;
  if (static_cast<size_t>(size_) >= slots_.size() / 2) {
    if (size_ >= INT32_MAX / 2) throw DataError("more n-grams than can be counted");
    grow();
    at = slot_of(key);
  }
  slots_[at] = {.key = key, .id = size_, .age = age_};
  return size_++;
}

int32_t PairIds::find(int32_t first, int32_t second) const {
  if (first < 0 || second < 0) return -1;
  const Slot& slot = slots_[slot_of(key_of(first, second))];
  return slot.age == age_ ? slot.id : -1;
}

void PairIds::fetch(int32_t first, int32_t second) const {
  __builtin_prefetch(&slots_[mix(key_of(first, second)) >> shift_]);
}

void PairIds::clear() {
  size_ = 0;
  if (++age_ == 0) {
    std::ranges::fill(slots_, Slot());
    age_ = 1;
  }
}

size_t WordIds::slot_of(std::string_view word, uint64_t hash) const {
  size_t at = hash & (slots_.size() - 1);
  while (slots_[at].age == age_ &&
         (slots_[at].hash != hash || words_[static_cast<size_t>(slots_[at].id)] != word))
    at = (at + 1) & (slots_.size() - 1);
  return at;
}

void WordIds::grow() {
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
  for (const Slot& slot : old)
    if (slot.age == age_) slots_[slot_of(words_[static_cast<size_t>(slot.id)], slot.hash)] = slot;
}

int32_t WordIds::add(std::string_view word) {
  const uint64_t hash = hash64(word);
  size_t at = slot_of(word, hash);
  if (slots_[at].age == age_) return slots_[at].id;
  if (words_.size() >= slots_.size() / 2) {
    if (words_.size() >= INT32_MAX / 2) throw DataError("more words than can be counted");
    grow();
    at = slot_of(word, hash);
  }
  slots_[at] = {.hash = hash, .id = size(), .age = age_};
  words_.push_back(word);
  return size() - 1;
}

int32_t WordIds::find(std::string_view word) const {
  const Slot& slot = slots_[slot_of(word, hash64(word))];
  return slot.age == age_ ? slot.id : -1;
}

void WordIds::clear() {
  words_.clear();
  if (++age_ == 0) {
    std::ranges::fill(slots_, Slot());
    age_ = 1;
  }
}

template <class Number>
void Ngrams::fill(const PairIds& ids, std::span<const int32_t> words, int most, Number number) {
  const size_t n = words.size();
  ids_.clear();
  begins_.assign(1, 0);
  for (int order = 1; order <= most; ++order) {
    const auto last = static_cast<size_t>(order - 1);
    // The unigrams' predecessor is apart from all n-grams, which are counted from 0.
    const auto before = [&](size_t i) {
      return order == 1 ? INT32_MAX : ids_[begins_[last - 1] + i];
    };
    if (ids.large())
      for (size_t i = 0; i + last < n; ++i) ids.fetch(before(i), words[i + last]);
    for (size_t i = 0; i + last < n; ++i) ids_.push_back(number(before(i), words[i + last]));
    begins_.push_back(ids_.size());
  }
}

void Ngrams::read(PairIds& ids, std::span<const int32_t> words, int most) {
  fill(ids, words, most, [&](int32_t before, int32_t word) { return ids.add(before, word); });
}

void Ngrams::look_up(const PairIds& ids, std::span<const int32_t> words, int most) {
  fill(ids, words, most, [&](int32_t before, int32_t word) { return ids.find(before, word); });
}

void Clip::clear() {
  for (const int32_t ngram : used_) left_[static_cast<size_t>(ngram)] = 0;
  used_.clear();
}

void Clip::add(std::span<const int32_t> ngrams, int32_t ids) {
  const auto size = static_cast<size_t>(ids);
  left_.resize(std::max(left_.size(), size));
  seen_.resize(std::max(seen_.size(), size));
  for (const int32_t ngram : ngrams) {
    const auto i = static_cast<size_t>(ngram);
    if (left_[i] == 0) used_.push_back(ngram);
    left_[i] = std::max(left_[i], ++seen_[i]);
  }
  for (const int32_t ngram : ngrams) seen_[static_cast<size_t>(ngram)] = 0;
}

}  // namespace nibble
