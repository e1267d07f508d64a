// SPDX-License-Identifier: Apache-2.0
// The quantising ops against plain loops, exactly: a code is a whole number. (Against bitsandbytes:
// tests/quant/quantize_test.cpp.)
#include "kernels/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "kernels/code_books.h"
#include "support/simd_targets.h"
#include "support/test_vector.h"

namespace nibble {
namespace {

constexpr Dtype kDtypes[] = {Dtype::kF32, Dtype::kBf16, Dtype::kF16};

float absmax_of(const Buffer& x, int64_t begin, int64_t end) {
  double most = 0;
  for (int64_t i = begin; i < end; ++i) most = std::max(most, std::abs(x.at(i)));
  return static_cast<float>(most);
}

/// The code whose value is nearest; of two equally near ones the lower value's.
int nearest(std::span<const float, 16> book, float v) {
  std::vector<int> order;
  for (int c = 0; c < 16; ++c) order.push_back(c);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return book[static_cast<size_t>(a)] < book[static_cast<size_t>(b)];
  });
  size_t rank = 0;
  while (rank < 15) {
    const float low = book[static_cast<size_t>(order[rank])];
    const float high = book[static_cast<size_t>(order[rank + 1])];
    const float sum = low + high;
    if (!(sum / 2.0f < v)) break;
    ++rank;
  }
  return order[rank];
}

TEST(Quantize4bit, EqualsThePlainLoop) {
  constexpr uint64_t kSeed = 31;
  const struct {
    int64_t rows, columns, block;
  } cases[] = {{1, 1, 32},   {1, 33, 32},   {3, 31, 32},    {5, 64, 64},     {7, 65, 64},
               {2, 127, 64}, {13, 257, 64}, {3, 1000, 128}, {1, 4095, 4096}, {3, 4096, 4096}};
  on_every_target([&](const std::string& target) {
    for (const auto& c : cases)
      for (const Dtype dtype : kDtypes)
        for (const QuantType type : {QuantType::kNf4, QuantType::kFp4}) {
          OpCase op(cat("quantize_4bit ", target, " type ", static_cast<int>(type), " block ",
                        c.block, " ", dtype_name(dtype), " (", c.rows, ",", c.columns, ")"),
                    kSeed);
          const int64_t n = c.rows * c.columns;
          Buffer& w = op.input("weight", dtype, {c.rows, c.columns});
          Buffer& codes = op.output("codes", Dtype::kU8, {ceil_div<int64_t>(n, 2)});
          Buffer& absmax = op.output("absmax", Dtype::kF32, {ceil_div(n, c.block)});
          std::vector<Bounded> scales, bytes(static_cast<size_t>(codes.size()));
          for (int64_t b = 0; b < n; b += c.block) {
            const int64_t end = std::min(n, b + c.block);
            const float most = absmax_of(w, b, end);
            scales.emplace_back(most);
            for (int64_t i = b; i < end + (end % 2); ++i) {
              const float x = i < n ? static_cast<float>(w.at(i)) : 0.0f;
              const float inverse = 1.0f / most;
              const int code =
                  nearest(code_book(type), end - b == c.block ? x * inverse : x / most);
              bytes[static_cast<size_t>(i / 2)].value += i % 2 ? code : 16 * code;
            }
          }
          op.want(codes, bytes);
          op.want(absmax, scales);
          op.check([&] {
            quantize_4bit({.codes = codes.tensor(),
                           .absmax = absmax.tensor(),
                           .weight = w.tensor(),
                           .type = type,
                           .block = c.block});
          });
        }
  });
}

TEST(QuantizeInt8, EqualsThePlainLoop) {
  constexpr uint64_t kSeed = 32;
  on_every_target([](const std::string& target) {
    for (const Shape& s : {Shape{1, 1}, Shape{3, 15}, Shape{2, 17}, Shape{5, 576}, Shape{200, 7}})
      for (const Dtype dtype : kDtypes) {
        OpCase op(cat("quantize_int8 ", target, " ", dtype_name(dtype), " ", shape_name(s)), kSeed);
        Buffer& w = op.input("weight", dtype, s);
        Buffer& codes = op.output("codes", Dtype::kI8, s);
        Buffer& scale = op.output("row_scale", Dtype::kF32, {s[0]});
        std::vector<Bounded> scales, wanted;
        for (int64_t r = 0; r < s[0]; ++r) {
          std::vector<float> row;
          float most = 0;
          for (int64_t i = 0; i < s[1]; ++i) {
            row.push_back(to_float(to_f16(static_cast<float>(w.at(r * s[1] + i)))));
            most = std::max(most, std::abs(row.back()));
          }
          scales.emplace_back(most);
          const float factor = 1.0f / most * 127.0f;
          for (const float x : row) wanted.emplace_back(std::nearbyint(x * factor));
        }
        op.want(codes, wanted);
        op.want(scale, scales);
        op.check([&] {
          quantize_int8(
              {.codes = codes.tensor(), .row_scale = scale.tensor(), .weight = w.tensor()});
        });
      }
  });
}

TEST(QuantizeDynamic8bit, EqualsThePlainLoop) {
  constexpr uint64_t kSeed = 33;
  on_every_target([](const std::string& target) {
    for (const int64_t n : {1, 15, 255, 256, 257, 20000}) {
      OpCase op(cat("quantize_dynamic8bit ", target, " (", n, ")"), kSeed);
      Buffer& x = op.input("values", Dtype::kF32, {n});
      Buffer& codes = op.output("codes", Dtype::kU8, {n});
      Buffer& absmax = op.output("absmax", Dtype::kF32, {ceil_div<int64_t>(n, 256)});
      std::vector<Bounded> scales, wanted;
      for (int64_t b = 0; b < n; b += 256) {
        const int64_t end = std::min<int64_t>(n, b + 256);
        const float most = absmax_of(x, b, end);
        scales.emplace_back(most);
        const float inverse = 1.0f / most;
        for (int64_t i = b; i < end; ++i) {
          const float v = static_cast<float>(x.at(i)) * inverse;
          const auto point = static_cast<size_t>((v + 1.0f) * 32767.5f + 0.5f);
          // The entry nearest to the middle of the point's cell.
          const float middle = static_cast<float>(point) * (1.0f / 32767.5f) - 1.0f;
          const auto& map = dynamic_map(DynamicMap::kSigned);
          size_t best = 0;
          for (size_t k = 1; k < map.size(); ++k)
            if (std::abs(map[k] - middle) < std::abs(map[best] - middle)) best = k;
          wanted.emplace_back(static_cast<double>(best));
        }
      }
      op.want(codes, wanted);
      op.want(absmax, scales);
      op.check([&] {
        quantize_dynamic8bit(
            {.codes = codes.tensor(), .absmax = absmax.tensor(), .values = x.tensor()});
      });
    }
  });
}

/// So whether `>` or `>=` counts midpoints is one.
TEST(QuantizeDynamic8bit, NoPointOfTheGridLiesMidway) {
  for (const DynamicMap kind : {DynamicMap::kSigned, DynamicMap::kUnsigned}) {
    const auto& map = dynamic_map(kind);
    std::vector<float> midpoints;
    for (size_t k = 0; k + 1 < map.size(); ++k) midpoints.push_back((map[k] + map[k + 1]) / 2.0f);
    for (int point = 0; point < 65536; ++point) {
      const float middle = static_cast<float>(point) * (1.0f / 32767.5f) - 1.0f;
      ASSERT_FALSE(std::binary_search(midpoints.begin(), midpoints.end(), middle)) << point;
    }
  }
}

TEST(QuantizeOps, ShowWhatIsNotFiniteInTheScale) {
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    TestVector<float> x(64 + 33, 0.25f), absmax(2), scale(1);
    TestVector<uint8_t> codes(49);
    TestVector<int8_t> int8(97);
    for (const size_t at : {size_t{5}, size_t{70}}) {
      std::fill(x.begin(), x.end(), 0.25f);
      x[at] = bad;
      and_wait([&] {
        quantize_4bit({.codes = test_view(codes.data(), {49}),
                       .absmax = test_view(absmax.data(), {2}),
                       .weight = test_view(x.data(), {1, 97})});
      });
      EXPECT_FALSE(std::isfinite(absmax[at / 64])) << bad;
      and_wait([&] {
        quantize_int8({.codes = test_view(int8.data(), {1, 97}),
                       .row_scale = test_view(scale.data(), {1}),
                       .weight = test_view(x.data(), {1, 97})});
      });
      EXPECT_FALSE(std::isfinite(scale[0])) << bad;
    }
  }
}

TEST(QuantizeOps, RefuseShapesThatDoNotFit) {
  std::vector<float> x(64), absmax(2);
  std::vector<uint8_t> codes(64);
  const Tensor weight = view(x.data(), {2, 32});
  EXPECT_THROW(quantize_4bit({.codes = view(codes.data(), {31}),
                              .absmax = view(absmax.data(), {1}),
                              .weight = weight}),
               BugError);
  EXPECT_THROW(quantize_4bit({.codes = view(codes.data(), {32}),
                              .absmax = view(absmax.data(), {2}),
                              .weight = weight}),
               BugError);
  EXPECT_THROW(quantize_4bit({.codes = view(codes.data(), {32}),
                              .absmax = view(absmax.data(), {1}),
                              .weight = weight,
                              .block = 16}),
               BugError);
  EXPECT_THROW(quantize_dynamic8bit({.codes = view(codes.data(), {63}),
                                     .absmax = view(absmax.data(), {1}),
                                     .values = view(x.data(), {64})}),
               BugError);
}

}  // namespace
}  // namespace nibble
