// SPDX-License-Identifier: Apache-2.0
// Hash tables for vocabularies: built once, then read by all threads; open addressing, no
// allocation and no pointer chasing in a look-up.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace nibble {

/// Mixes 64 bits so that every input bit moves the high ones (the multiply-fold of wyhash).
inline uint64_t mix64(uint64_t a, uint64_t b) {
  __extension__ typedef unsigned __int128 Wide;
  const Wide product = static_cast<Wide>(a ^ 0x9E3779B97F4A7C15u) * (b ^ 0xD6E8FEB86659FD93u);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t hash_bytes(std::string_view s) {
  uint64_t h = s.size();
  const char* p = s.data();
  size_t left = s.size();
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    h = mix64(h, word);
  }
  uint64_t word = 0;
  if (left > 0) std::memcpy(&word, p, left);
  return mix64(h, word);
}

/// From byte strings to ids >= 0.
class StringTable {
 public:
  /// Makes room; all inserts follow, at most `count` of them.
  void reserve(size_t count) {
    slots_.assign(std::bit_ceil(count * 2 + 2), kEmpty);
    entries_.reserve(count);
  }
  /// Returns false, and changes nothing, where the string is there already.
  bool insert(std::string_view key, int32_t id) {
    uint64_t at = hash_bytes(key);
    for (;; ++at) {
      uint32_t& slot = slots_[at & (slots_.size() - 1)];
      if (slot == kEmpty) {
        slot = static_cast<uint32_t>(entries_.size());
        entries_.push_back({bytes_.size(), static_cast<uint32_t>(key.size()), id});
        bytes_ += key;
        return true;
      }
      if (key_of(entries_[slot]) == key) return false;
    }
  }
  /// The id, or -1.
  int32_t find(std::string_view key) const {
    if (slots_.empty()) return -1;
    for (uint64_t at = hash_bytes(key);; ++at) {
      const uint32_t slot = slots_[at & (slots_.size() - 1)];
      if (slot == kEmpty) return -1;
      if (key_of(entries_[slot]) == key) return entries_[slot].id;
    }
  }

 private:
  static constexpr uint32_t kEmpty = UINT32_MAX;
  struct Entry {
    size_t offset;
    uint32_t size;
    int32_t id;
  };
  std::string_view key_of(const Entry& e) const {
    return std::string_view(bytes_).substr(e.offset, e.size);
  }
  std::vector<uint32_t> slots_;
  std::vector<Entry> entries_;
  std::string bytes_;
};

/// A merge of two tokens: its place in the order of merges, and the token it makes.
struct Merge {
  uint32_t rank = UINT32_MAX;  // UINT32_MAX: the pair does not merge
  int32_t id = -1;
};

/// From pairs of ids to merges.
class MergeTable {
 public:
  void reserve(size_t count) { slots_.assign(std::bit_ceil(count * 2 + 2), Slot{}); }
  /// A pair given again keeps its last merge, as in Hugging Face's reader.
  void insert(int32_t left, int32_t right, Merge merge) {
    const uint64_t key = key_of(left, right);
    for (uint64_t at = mix64(key, key);; ++at) {
      Slot& slot = slots_[at & (slots_.size() - 1)];
      if (slot.key != key && slot.key != kEmpty) continue;
      slot = {key, merge};
      return;
    }
  }
  Merge find(int32_t left, int32_t right) const {
    const uint64_t key = key_of(left, right);
    for (uint64_t at = mix64(key, key);; ++at) {
      const Slot& slot = slots_[at & (slots_.size() - 1)];
      if (slot.key == key) return slot.merge;
      if (slot.key == kEmpty) return {};
    }
  }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;  // ids are never negative
  static uint64_t key_of(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  struct Slot {
    uint64_t key = kEmpty;
    Merge merge;
  };
  std::vector<Slot> slots_ = std::vector<Slot>(2);
};

}  // namespace nibble
