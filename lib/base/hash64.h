// SPDX-License-Identifier: Apache-2.0
// Fast hashes of 64 bits for tables and sketches, the same on every machine: folded products of 128
// bits, as in wyhash (Wang Yi). For what must withstand an adversary there is siphash.h.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace nibble {

/// A number's bits, well mixed with another's.
inline uint64_t mix64(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide{a ^ 0x9E3779B97F4A7C15u} * (b ^ 0xD1B54A32D192ED03u);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

namespace detail {
template <class T>
T load_bytes(const char* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

// The first bytes, at most 8, as a little-endian number. Loads of fixed sizes that overlap: a copy
// of any size is a call.
inline uint64_t first_bytes(const char* p, size_t bytes) {
  if (bytes >= 4)
    return load_bytes<uint32_t>(p) | uint64_t{load_bytes<uint32_t>(p + bytes - 4)}
                                         << (8 * (bytes - 4));
  if (bytes == 0) return 0;
  const auto byte = [&](size_t i) { return uint64_t{static_cast<unsigned char>(p[i])} << (8 * i); };
  return byte(0) | byte(bytes / 2) | byte(bytes - 1);
}
}  // namespace detail

inline uint64_t hash64(std::string_view text, uint64_t seed = 0) {
  uint64_t h = mix64(seed, text.size());
  const char* p = text.data();
  size_t left = text.size();
  for (; left > 8; p += 8, left -= 8) h = mix64(h, detail::load_bytes<uint64_t>(p));
  return mix64(mix64(h, detail::first_bytes(p, left)), 0x2545F4914F6CDD1Du);
}

}  // namespace nibble
