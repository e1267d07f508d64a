// SPDX-License-Identifier: Apache-2.0
// A quantised matrix of random codes and scales, with the plain formula for its elements.
#pragma once

#include <vector>

#include "base/checked.h"
#include "base/rng.h"
#include "kernels/dequantize.h"
#include "support/test_vector.h"

namespace nibble {

/// A matrix of random codes and scales, and the plain reference for its elements.
struct RandomMatrix {
  QuantizedMatrix m;
  TestVector<uint8_t> codes, absmax_codes;
  TestVector<float> book, absmax, nested_map, nested_absmax, row_scale;

  RandomMatrix(QuantType type, int64_t out, int64_t in, int64_t block, bool nested, uint64_t seed) {
    Rng rng(seed);
    const auto bytes = [&](int64_t n) {
      TestVector<uint8_t> v(static_cast<size_t>(n));
      for (uint8_t& x : v) x = static_cast<uint8_t>(rng.next_u32());
      return v;
    };
    const auto floats = [&](int64_t n, double scale) {
      TestVector<float> v(static_cast<size_t>(n));
      for (float& x : v) x = static_cast<float>((rng.uniform() * 2 - 1) * scale);
      return v;
    };
    const int64_t n = out * in;
    m = {.type = type, .out_features = out, .in_features = in, .block = block};
    codes = bytes(type == QuantType::kInt8 ? n : ceil_div<int64_t>(n, 2));
    m.codes = codes.data();
    if (type == QuantType::kInt8) {
      row_scale = floats(out, 0.3);
      m.row_scale = row_scale.data();
      return;
    }
    book = floats(16, 1.0);
    m.code_book = book.data();
    const int64_t blocks = ceil_div(n, block);
    if (nested) {
      absmax_codes = bytes(blocks);
      nested_map = floats(256, 1.0);
      nested_absmax = floats(ceil_div<int64_t>(blocks, 256), 0.05);
      m.absmax_codes = absmax_codes.data();
      m.nested_map = nested_map.data();
      m.nested_absmax = nested_absmax.data();
      m.nested_offset = 0.11f;
    } else {
      absmax = floats(blocks, 0.2);
      m.absmax = absmax.data();
    }
  }

  float element(int64_t row, int64_t column) const {
    const int64_t e = row * m.in_features + column;
    if (m.type == QuantType::kInt8) {
      const float scaled = static_cast<float>(static_cast<int8_t>(m.codes[e])) * m.row_scale[row];
      return scaled * kInt8Step;
    }
    const int code = e % 2 ? m.codes[e / 2] % 16 : m.codes[e / 2] / 16;
    const int64_t b = e / m.block;
    volatile float scale = m.absmax ? m.absmax[b] : 0.0f;
    if (!m.absmax) {
      scale = m.nested_map[m.absmax_codes[b]] * m.nested_absmax[b / m.nested_block];
      scale = scale + m.nested_offset;
    }
    return m.code_book[code] * scale;
  }
};

}  // namespace nibble
