// SPDX-License-Identifier: Apache-2.0
// SipHash-2-4 with 128 bits (Aumasson & Bernstein, "SipHash: a fast short-input PRF", 2012): a
// keyed hash whose collisions nobody can make without the key, the same on every machine.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

namespace nibble {

struct Digest {
  uint64_t low = 0, high = 0;
  auto operator<=>(const Digest&) const = default;
};

/// The key's 16 bytes are low and high in little-endian order.
Digest siphash128(const Digest& key, std::string_view text);

}  // namespace nibble
