// SPDX-License-Identifier: Apache-2.0
// Stands in for the toolkit's header of this name: IEEE half precision as storage, rounded to
// nearest even.
#pragma once

#include <cuda_runtime.h>

struct __half {
  unsigned short __x;

  __half() = default;
  __half(float value) : __x(nibble::emulate::half_bits(value)) {}
  operator float() const { return nibble::emulate::half_value(__x); }
};

struct alignas(4) __half2 {
  __half x, y;
};

using half = __half;
using half2 = __half2;

inline __half __float2half_rn(float value) {
  return __half(value);
}
inline __half __float2half(float value) {
  return __half(value);
}
inline float __half2float(__half value) {
  return static_cast<float>(value);
}
inline unsigned short __half_as_ushort(__half value) {
  return value.__x;
}
inline __half __ushort_as_half(unsigned short bits) {
  __half value;
  value.__x = bits;
  return value;
}
inline __half2 __floats2half2_rn(float low, float high) {
  return {__half(low), __half(high)};
}
inline float2 __half22float2(__half2 value) {
  return {static_cast<float>(value.x), static_cast<float>(value.y)};
}
