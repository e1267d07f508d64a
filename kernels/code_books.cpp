// SPDX-License-Identifier: Apache-2.0
#include "kernels/code_books.h"

#include <cmath>
#include <numeric>

namespace nibble {
namespace {

constexpr std::array<float, 16> kNf4 = {
    -0x1.000000p+0f, -0x1.647362p-1f, -0x1.0cd660p-1f, -0x1.946540p-2f,
    -0x1.23449ap-2f, -0x1.7a6a7ep-3f, -0x1.74f0e2p-4f, 0.0f,
    0x1.45f5fep-4f,  0x1.4995c6p-3f,  0x1.f809bap-3f,  0x1.5a0674p-2f,
    0x1.c34970p-2f,  0x1.200f56p-1f,  0x1.722766p-1f,  1.0f};

// Code 8 is "minus zero", which bitsandbytes stores as plus zero.
constexpr std::array<float, 16> kFp4 = {
    0.0f, 0.0625f / 12,  8.0f / 12,  1.0f,  4.0f / 12,  6.0f / 12,  2.0f / 12,  3.0f / 12,
    0.0f, -0.0625f / 12, -8.0f / 12, -1.0f, -4.0f / 12, -6.0f / 12, -2.0f / 12, -3.0f / 12};

/// Point i of n even ones over [0.1, 1], as torch.linspace computes it: from the nearer end, fused.
float even_point(int i, int n) {
  constexpr float kLow = 0.1f, kHigh = 1.0f;
  const float step = (kHigh - kLow) / static_cast<float>(n - 1);
  return i < n / 2 ? std::fma(step, static_cast<float>(i), kLow)
                   : std::fma(-step, static_cast<float>(n - 1 - i), kHigh);
}

std::array<float, 256> make_map(DynamicMap kind) {
  std::array<float, 256> map{};
  size_t used = 0;
  for (int exponent = 0; exponent < 7; ++exponent) {
    const auto decade = static_cast<float>(std::pow(10.0, exponent - 6));
    const int cells = 1 << (kind == DynamicMap::kSigned ? exponent : exponent + 1);
    for (int i = 0; i < cells; ++i) {
      const float middle = (even_point(i, cells + 1) + even_point(i + 1, cells + 1)) / 2.0f;
      map[used++] = decade * middle;
      if (kind == DynamicMap::kSigned) map[used++] = -decade * middle;
    }
  }
  map[used++] = 0.0f;
  map[used++] = 1.0f;
  std::sort(map.begin(), map.end());
  return map;
}

std::array<uint8_t, 65536> make_grid(const std::array<float, 256>& map) {
  constexpr float kCell = 1.0f / 32767.5f;
  std::array<uint8_t, 65536> grid{};
  size_t code = 0;
  for (size_t point = 0; point < grid.size(); ++point) {
    const float v = static_cast<float>(point) * kCell - 1.0f;
    while (code + 1 < map.size() && v > (map[code] + map[code + 1]) / 2.0f) ++code;
    grid[point] = static_cast<uint8_t>(code);
  }
  return grid;
}

}  // namespace

std::span<const float, 16> code_book(QuantType type) {
  CHECK(type != QuantType::kInt8);
  return type == QuantType::kNf4 ? kNf4 : kFp4;
}

CodeRanks code_ranks(QuantType type) {
  const auto book = code_book(type);
  CodeRanks ranks;
  std::iota(ranks.code.begin(), ranks.code.end(), uint8_t{0});
  std::stable_sort(ranks.code.begin(), ranks.code.end(),
                   [&](uint8_t a, uint8_t b) { return book[a] < book[b]; });
  for (size_t i = 0; i < ranks.midpoint.size(); ++i)
    ranks.midpoint[i] = (book[ranks.code[i]] + book[ranks.code[i + 1]]) / 2.0f;
  return ranks;
}

const std::array<float, 256>& dynamic_map(DynamicMap kind) {
  static const std::array<float, 256> maps[] = {make_map(DynamicMap::kSigned),
                                                make_map(DynamicMap::kUnsigned)};
  return maps[static_cast<size_t>(kind)];
}

const std::array<uint8_t, 65536>& dynamic_grid(DynamicMap kind) {
  static const std::array<uint8_t, 65536> grids[] = {make_grid(dynamic_map(DynamicMap::kSigned)),
                                                     make_grid(dynamic_map(DynamicMap::kUnsigned))};
  return grids[static_cast<size_t>(kind)];
}

}  // namespace nibble
