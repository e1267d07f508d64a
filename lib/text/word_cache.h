// SPDX-License-Identifier: Apache-2.0
// A table of words and their ids, one cache line each, in which a new word replaces the one in its
// slot. Memory is fixed and nothing is allocated after the first use.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "text/string_table.h"

namespace nibble {

class WordCache {
 public:
  static constexpr size_t kMaxBytes = 26, kMaxIds = 9;

  /// Appends the word's ids if they are known.
  bool find(std::string_view word, std::vector<int32_t>& ids) const {
    if (word.size() > kMaxBytes) return false;
    const Slot& slot = slots_[slot_of(word)];
    if (slot.size != word.size() || std::memcmp(slot.bytes, word.data(), word.size()) != 0)
      return false;
    ids.insert(ids.end(), slot.ids, slot.ids + slot.count);
    return true;
  }

  void put(std::string_view word, const int32_t* ids, size_t count) {
    if (word.empty() || word.size() > kMaxBytes || count > kMaxIds) return;
    Slot& slot = slots_[slot_of(word)];
    slot.size = static_cast<uint8_t>(word.size());
    slot.count = static_cast<uint8_t>(count);
    std::memcpy(slot.bytes, word.data(), word.size());
    if (count > 0) std::memcpy(slot.ids, ids, count * sizeof(int32_t));
  }

  /// This thread's cache of the model of that number. A thread keeps those it used last.
  static WordCache& of(uint64_t owner);
  /// A number no other model has had.
  static uint64_t new_owner();

 private:
  static constexpr size_t kSlots = size_t{1} << 14;
  struct alignas(64) Slot {
    int32_t ids[kMaxIds];
    uint8_t size = 0, count = 0;  // size 0: empty; no word is
    char bytes[kMaxBytes];
  };
  static_assert(sizeof(Slot) == 64);
  static size_t slot_of(std::string_view word) { return hash_bytes(word) & (kSlots - 1); }

  std::vector<Slot> slots_ = std::vector<Slot>(kSlots);
};

}  // namespace nibble
