// SPDX-License-Identifier: Apache-2.0
// A 4-bit matrix as kernels see it.
#pragma once

#include <bit>

#include "kernels/cuda/values.h"
#include "kernels/dequantize.h"

namespace nibble::cuda {

/// The code of element k of eight in a word of 4 bytes: of each byte the high nibble is first.
__device__ __forceinline__ int code_of(uint32_t word, int k) {
  return static_cast<int>(word >> (k / 2 * 8 + (k % 2 == 0 ? 4 : 0)) & 15u);
}

/// A block's scale as it is stored: what is read of it is apart from what is made of it, so that
/// the reads of several are on their way together.
template <bool kNested>
struct StoredScale {
  float absmax;
};
template <>
struct StoredScale<true> {
  float nested_absmax;
  uint8_t code;
};

struct Codes {
  const uint8_t* codes;
  const float* book;
  const float* absmax;  // null when nested
  const uint8_t* absmax_codes;
  const float* nested_map;
  const float* nested_absmax;
  int64_t nested_block;
  float nested_offset;
  int block_shift;
  int nested_shift;  // -1: the nested block is no power of two

  __device__ __forceinline__ float absmax_of(int64_t b) const {
    if (absmax) return absmax[b];
    const int64_t nested = nested_shift >= 0 ? b >> nested_shift : b / nested_block;
    return product(nested_map[absmax_codes[b]], nested_absmax[nested]) + nested_offset;
  }
  // The same in two steps, of nested blocks that are a power of two, or none: `nested` by type.
  template <bool kNested>
  __device__ __forceinline__ StoredScale<kNested> stored_scale(uint32_t b) const {
    if constexpr (kNested)
      return {nested_absmax[b >> nested_shift], absmax_codes[b]};
    else
      return {absmax[b]};
  }
  __device__ __forceinline__ float scale(const StoredScale<false>& s) const { return s.absmax; }
  __device__ __forceinline__ float scale(const StoredScale<true>& s) const {
    return product(nested_map[s.code], s.nested_absmax) + nested_offset;
  }
  __device__ __forceinline__ float value(int64_t element) const {
    const int byte = codes[element / 2];
    return book[element % 2 == 0 ? byte >> 4 : byte & 15] * absmax_of(element >> block_shift);
  }
};

inline Codes make_codes(const QuantizedMatrix& m) {
  return {.codes = m.codes,
          .book = m.code_book,
          .absmax = m.absmax,
          .absmax_codes = m.absmax_codes,
          .nested_map = m.nested_map,
          .nested_absmax = m.nested_absmax,
          .nested_block = m.nested_block,
          .nested_offset = m.nested_offset,
          .block_shift = std::countr_zero(static_cast<uint64_t>(m.block)),
          .nested_shift = std::has_single_bit(static_cast<uint64_t>(m.nested_block))
                              ? std::countr_zero(static_cast<uint64_t>(m.nested_block))
                              : -1};
}

}  // namespace nibble::cuda
