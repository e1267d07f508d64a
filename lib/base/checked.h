// SPDX-License-Identifier: Apache-2.0
// Arithmetic on sizes and offsets that come from files: overflow is reported, never wrapped.
#pragma once

#include <cstdint>
#include <optional>

namespace nibble {

/// a + b and a * b, or nothing where the result does not fit.
template <class T>
std::optional<T> checked_add(T a, T b) {
  T r;
  if (__builtin_add_overflow(a, b, &r)) return std::nullopt;
  return r;
}
template <class T>
std::optional<T> checked_mul(T a, T b) {
  T r;
  if (__builtin_mul_overflow(a, b, &r)) return std::nullopt;
  return r;
}

/// Whether [offset, offset + size) lies inside [0, total), without overflow.
inline bool in_range(uint64_t offset, uint64_t size, uint64_t total) {
  return offset <= total && size <= total - offset;
}

template <class T>
constexpr T ceil_div(T a, T b) {
  return (a + b - 1) / b;
}
template <class T>
constexpr T round_up(T a, T b) {
  return ceil_div(a, b) * b;
}

}  // namespace nibble
