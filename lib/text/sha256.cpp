// SPDX-License-Identifier: Apache-2.0
#include "text/sha256.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace nibble {
namespace {

// The constants are the first 32 fractional bits of the square and cube roots of the first primes;
// derived here rather than listed, so that there is nothing to mistype.
constexpr bool is_prime(uint32_t n) {
  for (uint32_t d = 2; d * d <= n; ++d)
    if (n % d == 0) return false;
  return true;
}

__extension__ typedef unsigned __int128 Wide;

// floor(2^32 * frac(p^(1/degree))): the largest x with (x / 2^32)^degree <= p, by bisection on
// integers, without its whole part.
constexpr uint32_t root_fraction(uint32_t p, int degree) {
  uint64_t low = 0, high = uint64_t{32} << 32;
  while (high - low > 1) {
    const uint64_t middle = low + (high - low) / 2;
    Wide power = middle;  // below 2^37 each: the cube needs 111 bits
    for (int i = 1; i < degree; ++i) power *= middle;
    const Wide bound = static_cast<Wide>(p) << (32 * degree);
    (power <= bound ? low : high) = middle;
  }
  return static_cast<uint32_t>(low);
}

template <size_t kCount>
constexpr std::array<uint32_t, kCount> root_table(int degree) {
  std::array<uint32_t, kCount> table{};
  uint32_t p = 2;
  for (uint32_t& entry : table) {
    while (!is_prime(p)) ++p;
    entry = root_fraction(p++, degree);
  }
  return table;
}

constexpr std::array<uint32_t, 8> kStart = root_table<8>(2);
constexpr std::array<uint32_t, 64> kRound = root_table<64>(3);

void compress(std::array<uint32_t, 8>& state, const unsigned char* block) {
  uint32_t w[64];
  for (int i = 0; i < 16; ++i)
    w[i] = static_cast<uint32_t>(block[4 * i]) << 24 |
           static_cast<uint32_t>(block[4 * i + 1]) << 16 |
           static_cast<uint32_t>(block[4 * i + 2]) << 8 | block[4 * i + 3];
  for (int i = 16; i < 64; ++i) {
    const uint32_t a = w[i - 15], b = w[i - 2];
    const uint32_t s0 = std::rotr(a, 7) ^ std::rotr(a, 18) ^ (a >> 3);
    const uint32_t s1 = std::rotr(b, 17) ^ std::rotr(b, 19) ^ (b >> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  auto [a, b, c, d, e, f, g, h] = state;
  for (size_t i = 0; i < 64; ++i) {
    const uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    const uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kRound[i] + w[i];
    const uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    const uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  const std::array<uint32_t, 8> sum = {a, b, c, d, e, f, g, h};
  for (size_t i = 0; i < 8; ++i) state[i] += sum[i];
}

}  // namespace

std::string sha256_hex(std::string_view bytes) {
  std::array<uint32_t, 8> state = kStart;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t at = 0;
  for (; bytes.size() - at >= 64; at += 64) compress(state, data + at);

  // The rest, a one bit, zeros, and the length in bits: one block or two.
  unsigned char tail[128] = {};
  const size_t rest = bytes.size() - at;
  if (rest > 0) std::memcpy(tail, data + at, rest);
  tail[rest] = 0x80;
  const size_t end = rest < 56 ? 64 : 128;
  const uint64_t bits = static_cast<uint64_t>(bytes.size()) * 8;
  for (size_t i = 0; i < 8; ++i) tail[end - 1 - i] = static_cast<unsigned char>(bits >> (8 * i));
  for (size_t i = 0; i < end; i += 64) compress(state, tail + i);

  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const uint32_t word : state)
    for (int shift = 28; shift >= 0; shift -= 4) out += kHex[(word >> shift) & 15];
  return out;
}

}  // namespace nibble
