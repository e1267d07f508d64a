// SPDX-License-Identifier: Apache-2.0
// A table from hashes to small numbers: open addressing in two arrays, no more than the keys and
// values themselves, 37% to 75% full. Keys are hashes already: their low bits say where they lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "base/siphash.h"

namespace nibble {

inline uint64_t low_bits(uint64_t hash) {
  return hash;
}
inline uint64_t low_bits(const Digest& digest) {
  return digest.low;
}

/// Value is an unsigned integer; its largest value cannot be stored.
template <class Key, class Value>
class FlatTable {
 public:
  FlatTable() : keys_(kFirst), values_(kFirst, kFree) {}

  size_t size() const { return size_; }

  /// The key's value, or null.
  const Value* find(const Key& key) const {
    const size_t place = place_of(key);
    return values_[place] == kFree ? nullptr : &values_[place];
  }
  /// The key's value: as it was, or where the key is new, the one given; and whether it is new.
  std::pair<Value, bool> insert(const Key& key, Value value) {
    size_t place = place_of(key);
    if (values_[place] != kFree) return {values_[place], false};
    if (4 * (size_ + 1) > 3 * keys_.size()) {
      grow();
      place = place_of(key);
    }
    keys_[place] = key;
    values_[place] = value;
    ++size_;
    return {value, true};
  }

 private:
  static constexpr Value kFree = std::numeric_limits<Value>::max();
  static constexpr size_t kFirst = 64;

  size_t place_of(const Key& key) const {
    size_t place = low_bits(key) & (keys_.size() - 1);
    while (values_[place] != kFree && keys_[place] != key) place = (place + 1) & (keys_.size() - 1);
    return place;
  }
  void grow() {
    const auto keys = std::exchange(keys_, std::vector<Key>(2 * keys_.size()));
    const auto values = std::exchange(values_, std::vector<Value>(keys_.size(), kFree));
    for (size_t i = 0; i < keys.size(); ++i) {
      if (values[i] == kFree) continue;
      const size_t place = place_of(keys[i]);
      keys_[place] = keys[i];
      values_[place] = values[i];
    }
  }

  std::vector<Key> keys_;
  std::vector<Value> values_;
  size_t size_ = 0;
};

}  // namespace nibble
