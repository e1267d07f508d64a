// SPDX-License-Identifier: Apache-2.0
#include "quant/torch_mean.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace nibble {
namespace {

constexpr size_t kRows = 4, kLevels = 4;

template <size_t kLanes>
using Lanes = std::array<float, kLanes>;

template <size_t kLanes>
void add(Lanes<kLanes>& to, const float* from) {
  for (size_t i = 0; i < kLanes; ++i) to[i] += from[i];
}

/// The sums of `kRows` interleaved rows of registers: row r has registers r, r + kRows, ...
template <size_t kLanes>
std::array<Lanes<kLanes>, kRows> sum_rows(const float* x, size_t size) {
  // A level is carried to the next every 2^power registers, so that no sum gets long.
  const size_t log2 = size > 1 ? static_cast<size_t>(std::bit_width(size - 1)) : 0;
  const size_t power = std::max<size_t>(4, log2 / kLevels);
  const size_t step = size_t{1} << power;
  std::array<std::array<Lanes<kLanes>, kRows>, kLevels> sums{};
  size_t i = 0;
  const auto take = [&] {
    for (size_t r = 0; r < kRows; ++r) add(sums[0][r], x + (i * kRows + r) * kLanes);
    ++i;
  };
  while (i + step <= size) {
    for (size_t k = 0; k < step; ++k) take();
    for (size_t level = 1; level < kLevels; ++level) {
      for (size_t r = 0; r < kRows; ++r) {
        add(sums[level][r], sums[level - 1][r].data());
        sums[level - 1][r] = {};
      }
      if (i & ((step - 1) << (level * power))) break;
    }
  }
  while (i < size) take();
  for (size_t level = 1; level < kLevels; ++level)
    for (size_t r = 0; r < kRows; ++r) add(sums[0][r], sums[level][r].data());
  return sums[0];
}

/// The lanes' sums over `size` registers.
template <size_t kLanes>
Lanes<kLanes> sum_registers(const float* x, size_t size) {
  const size_t whole = size / kRows;
  auto rows = sum_rows<kLanes>(x, whole);
  for (size_t i = whole * kRows; i < size; ++i) add(rows[0], x + i * kLanes);
  for (size_t r = 1; r < kRows; ++r) add(rows[0], rows[r].data());
  return rows[0];
}

}  // namespace

float torch_mean(std::span<const float> values) {
  constexpr size_t kLanes = 8;
  const size_t n = values.size();
  float sum = 0.0f;
  if (n < kLanes) {
    sum = sum_registers<1>(values.data(), n)[0];
  } else {
    const auto lanes = sum_registers<kLanes>(values.data(), n / kLanes);
    for (size_t i = n / kLanes * kLanes; i < n; ++i) sum += values[i];
    for (const float lane : lanes) sum += lane;
  }
  return sum / static_cast<float>(n);
}

}  // namespace nibble
