// SPDX-License-Identifier: Apache-2.0
#include "score/numpy_random.h"

#include <array>
#include <bit>

#include "base/error.h"

namespace nibble {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr Wide kMultiplier = Wide{0x2360ED051FC65DA4} << 64 | 0x4385DF649FCCF645;

// SeedSequence(seed).generate_state(4, uint64), with its pool of four words.
std::array<uint64_t, 4> seed_words(uint64_t seed) {
  std::array<uint32_t, 4> pool{};
  uint32_t constant = 0x43B0D7E5;
  const auto scramble = [&](uint32_t value) {
    value ^= constant;
    constant *= 0x931E8875;
    value *= constant;
    return value ^ value >> 16;
  };
  const auto blend = [](uint32_t a, uint32_t b) {
    const uint32_t c = 0xCA01F9DDu * a - 0x4973F715u * b;
    return c ^ c >> 16;
  };
  const std::array<uint32_t, 4> entropy = {static_cast<uint32_t>(seed),
                                           static_cast<uint32_t>(seed >> 32), 0, 0};
  for (size_t i = 0; i < 4; ++i) pool[i] = scramble(entropy[i]);
  for (size_t from = 0; from < 4; ++from)
    for (size_t to = 0; to < 4; ++to)
      if (from != to) pool[to] = blend(pool[to], scramble(pool[from]));

  std::array<uint64_t, 4> out{};
  constant = 0x8B51F9DD;
  for (size_t i = 0; i < 8; ++i) {
    uint32_t value = pool[i % 4] ^ constant;
    constant *= 0x58F38DED;
    value *= constant;
    value ^= value >> 16;
    out[i / 2] |= uint64_t{value} << (32 * (i % 2));
  }
  return out;
}

Wide wide(uint64_t high, uint64_t low) {
  return Wide{high} << 64 | low;
}

}  // namespace

NumpyRandom::NumpyRandom(uint64_t seed) {
  const std::array<uint64_t, 4> words = seed_words(seed);
  const Wide step = wide(words[2], words[3]) << 1 | 1;
  const Wide state = (step + wide(words[0], words[1])) * kMultiplier + step;
  state_high_ = static_cast<uint64_t>(state >> 64);
  state_low_ = static_cast<uint64_t>(state);
  step_high_ = static_cast<uint64_t>(step >> 64);
  step_low_ = static_cast<uint64_t>(step);
}

uint64_t NumpyRandom::next64() {
  const Wide state = wide(state_high_, state_low_) * kMultiplier + wide(step_high_, step_low_);
  state_high_ = static_cast<uint64_t>(state >> 64);
  state_low_ = static_cast<uint64_t>(state);
  return std::rotr(state_high_ ^ state_low_, static_cast<int>(state_high_ >> 58));
}

uint32_t NumpyRandom::next32() {
  if (has_half_) {
    has_half_ = false;
    return half_;
  }
  const uint64_t both = next64();
  has_half_ = true;
  half_ = static_cast<uint32_t>(both >> 32);
  return static_cast<uint32_t>(both);
}

void NumpyRandom::integers(int64_t count, std::span<int32_t> out) {
  CHECK(count >= 1 && count <= INT32_MAX);
  const auto bound = static_cast<uint32_t>(count);
  const uint32_t least = (0u - bound) % bound;  // below it, a product would favour some values
  for (int32_t& value : out) {
    value = 0;
    if (bound == 1) continue;
    uint64_t product = uint64_t{next32()} * bound;
    while (static_cast<uint32_t>(product) < least) product = uint64_t{next32()} * bound;
    value = static_cast<int32_t>(product >> 32);
  }
}

bool NumpyRandom::coin() {
  if (coins_left_ == 0) {
    coins_ = next32();
    coins_left_ = 32;
  } else {
    coins_ >>= 1;
  }
  --coins_left_;
  return (coins_ & 1u) != 0;
}

}  // namespace nibble
