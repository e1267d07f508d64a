// SPDX-License-Identifier: Apache-2.0
// dequantize against a plain loop. The contract is exact (the fp32 product rounded once), so what
// is compared in the end is bits.
#include "kernels/dequantize.h"

#include <gtest/gtest.h>

#include "support/op_harness.h"
#include "support/random_quantized.h"
#include "support/simd_targets.h"

namespace nibble {
namespace {

struct Case {
  QuantType type;
  int64_t out, in, block;
  bool nested;
};
// Shorter and longer than what a GPU's block takes, ends and beginnings within 16 bytes of codes.
const Case kCases[] = {
    {QuantType::kNf4, 1, 1, 32, false},     {QuantType::kNf4, 5, 3, 32, true},
    {QuantType::kNf4, 7, 31, 32, false},    {QuantType::kNf4, 7, 33, 32, true},
    {QuantType::kNf4, 3, 63, 64, true},     {QuantType::kNf4, 3, 65, 64, false},
    {QuantType::kFp4, 4, 1023, 128, true},  {QuantType::kNf4, 11, 576, 64, true},
    {QuantType::kFp4, 9, 100, 4096, false}, {QuantType::kNf4, 300, 257, 64, true},
    {QuantType::kNf4, 64, 1536, 64, true},  {QuantType::kNf4, 2, 40, 4, false},
    {QuantType::kNf4, 33, 264, 32, true},   {QuantType::kNf4, 7, 40, 32, false},
    {QuantType::kInt8, 1, 1, 0, false},     {QuantType::kInt8, 7, 31, 0, false},
    {QuantType::kInt8, 13, 577, 0, false},  {QuantType::kInt8, 90, 48, 0, false},
};

void check_rows(const RandomMatrix& r, int64_t first, int64_t count, int64_t gap, Dtype dtype,
                const std::string& target) {
  constexpr uint64_t kSeed = 7;
  const int64_t in = r.m.in_features;
  const std::string label =
      cat("dequantize ", target, " type ", static_cast<int>(r.m.type), " block ", r.m.block, " ",
          dtype_name(dtype), " (", count, ",", in, ") from row ", first, " gap ", gap);
  OpCase op(label, kSeed);
  Buffer& out = op.output("out", dtype, {count, in}, gap);
  std::vector<Bounded> want;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < in; ++j) want.emplace_back(r.element(first + i, j));
  op.want(out, want);
  op.check([&] { dequantize({.out = out.tensor(), .matrix = r.m, .first_row = first}); });
  for (size_t k = 0; k < want.size(); ++k) {
    const auto w = static_cast<float>(want[k].value);
    const float stored = dtype == Dtype::kF32 ? w : to_float(to_bf16(w));
    ASSERT_EQ(stored, out.at(static_cast<int64_t>(k))) << label << " element " << k;
  }
}

TEST(Dequantize, EqualsThePlainLoop) {
  on_every_target([](const std::string& target) {
    for (const Case& c : kCases) {
      const RandomMatrix r(c.type, c.out, c.in, c.block, c.nested, 7);
      for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16})
        for (const auto& [first, gap] :
             {std::pair{int64_t{0}, 5}, {c.out / 2, 0}, {c.out / 2, 5}, {c.out / 2, 8}})
          check_rows(r, first, c.out - first, gap, dtype, target);
    }
  });
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
