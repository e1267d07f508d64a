// SPDX-License-Identifier: Apache-2.0
// dequantize against a plain loop. The contract is exact (the fp32 product rounded once), so the
// tolerance is zero.
#include "kernels/dequantize.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/checked.h"
#include "base/rng.h"

namespace nibble {
namespace {

/// A matrix of random codes and scales, and the plain reference for its elements.
struct RandomMatrix {
  QuantizedMatrix m;
  std::vector<uint8_t> codes, absmax_codes;
  std::vector<float> book, absmax, nested_map, nested_absmax, row_scale;

  RandomMatrix(QuantType type, int64_t out, int64_t in, int64_t block, bool nested, uint64_t seed) {
    Rng rng(seed);
    const auto bytes = [&](int64_t n) {
      std::vector<uint8_t> v(static_cast<size_t>(n));
      for (uint8_t& x : v) x = static_cast<uint8_t>(rng.next_u32());
      return v;
    };
    const auto floats = [&](int64_t n, double scale) {
      std::vector<float> v(static_cast<size_t>(n));
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

struct Case {
  QuantType type;
  int64_t out, in, block;
  bool nested;
};
const Case kCases[] = {
    {QuantType::kNf4, 1, 1, 32, false},     {QuantType::kNf4, 5, 3, 32, true},
    {QuantType::kNf4, 7, 31, 32, false},    {QuantType::kNf4, 7, 33, 32, true},
    {QuantType::kNf4, 3, 63, 64, true},     {QuantType::kNf4, 3, 65, 64, false},
    {QuantType::kFp4, 4, 1023, 128, true},  {QuantType::kNf4, 11, 576, 64, true},
    {QuantType::kFp4, 9, 100, 4096, false}, {QuantType::kNf4, 300, 257, 64, true},
    {QuantType::kNf4, 64, 1536, 64, true},  {QuantType::kNf4, 2, 40, 4, false},
    {QuantType::kInt8, 1, 1, 0, false},     {QuantType::kInt8, 7, 31, 0, false},
    {QuantType::kInt8, 13, 577, 0, false},
};

template <class T>
void expect_rows(const RandomMatrix& r, int64_t first, int64_t count, const std::string& what) {
  const int64_t in = r.m.in_features, stride = in + 5, pad = 16;
  const T canary = from_float<T>(1234.5f);
  std::vector<T> out(static_cast<size_t>(count * stride + 2 * pad), canary);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < in; ++j)
      out[static_cast<size_t>(pad + i * stride + j)] = from_float<T>(NAN);
  Tensor t = view(out.data() + pad, {count, in});
  t.row_stride = stride;
  dequantize({.out = t, .matrix = r.m, .first_row = first});
  for (int64_t k = 0; k < static_cast<int64_t>(out.size()); ++k) {
    const int64_t i = (k - pad) / stride, j = (k - pad) % stride;
    const bool inside = k >= pad && i < count && j < in;
    const float want = inside ? to_float(from_float<T>(r.element(first + i, j))) : 1234.5f;
    const float wanted = inside ? want : to_float(canary);
    ASSERT_EQ(wanted, to_float(out[static_cast<size_t>(k)]))
        << what << " (" << count << "," << in << ") at row " << i << " column " << j;
  }
}

TEST(Dequantize, EqualsThePlainLoopOnEveryTarget) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    for (const Case& c : kCases) {
      const RandomMatrix r(c.type, c.out, c.in, c.block, c.nested, 7);
      const std::string what =
          cat("type ", int(c.type), " block ", c.block, " target ", hwy::TargetName(target));
      for (int64_t first : {int64_t{0}, c.out / 2}) {
        expect_rows<float>(r, first, c.out - first, "dequantize f32 " + what);
        expect_rows<bf16>(r, first, c.out - first, "dequantize bf16 " + what);
      }
    }
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().DeInit();
  }
}

TEST(Dequantize, RefusesWhatItCannotRead) {
  const RandomMatrix r(QuantType::kNf4, 4, 64, 64, false, 1);
  std::vector<float> out(4 * 64);
  const Tensor t = view(out.data(), {4, 64});
  EXPECT_THROW(dequantize({.out = t, .matrix = r.m, .first_row = 1}), BugError);
  EXPECT_THROW(dequantize({.out = t, .matrix = r.m, .first_row = -1}), BugError);
  EXPECT_THROW(dequantize({.out = view(out.data(), {4, 63}), .matrix = r.m}), BugError);
  QuantizedMatrix bad = r.m;
  bad.block = 48;
  EXPECT_THROW(dequantize({.out = t, .matrix = bad}), BugError);
  bad = r.m;
  bad.absmax = nullptr;
  EXPECT_THROW(dequantize({.out = t, .matrix = bad}), BugError);
}

}  // namespace
}  // namespace nibble
