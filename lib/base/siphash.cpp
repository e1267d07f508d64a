// SPDX-License-Identifier: Apache-2.0
#include "base/siphash.h"

#include <bit>
#include <cstring>

namespace nibble {
namespace {

struct Sip {
  uint64_t v0, v1, v2, v3;

  void rounds(int count) {
    for (int i = 0; i < count; ++i) {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  }
  void take(uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
  uint64_t finish() {
    rounds(4);
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace

Digest siphash128(const Digest& key, std::string_view text) {
  static_assert(std::endian::native == std::endian::little);
  Sip s = {key.low ^ 0x736f6d6570736575, key.high ^ 0x646f72616e646f6d ^ 0xee,
           key.low ^ 0x6c7967656e657261, key.high ^ 0x7465646279746573};
  size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    s.take(word);
  }
  uint64_t last = uint64_t{text.size()} << 56;
  for (size_t i = at; i < text.size(); ++i)
    last |= uint64_t{static_cast<unsigned char>(text[i])} << (8 * (i - at));
  s.take(last);
  s.v2 ^= 0xee;
  Digest digest;
  digest.low = s.finish();
  s.v1 ^= 0xdd;
  digest.high = s.finish();
  return digest;
}

}  // namespace nibble
