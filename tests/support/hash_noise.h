// SPDX-License-Identifier: Apache-2.0
// Numbers that a test and the Python script beside its golden file can both make: a hash of the
// index. tests/support/hash_noise.py computes the same.
#pragma once

#include <cstdint>

namespace nibble {

/// Uniform in [-0.5, 0.5).
inline float hash_noise(uint32_t index, uint32_t stream) {
  uint32_t x = index + stream * 0x9E3779B9u;
  x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
  x = (x ^ (x >> 13)) * 0xC2B2AE35u;
  x ^= x >> 16;
  return static_cast<float>(x >> 8) * 0x1p-24f - 0.5f;
}

}  // namespace nibble
