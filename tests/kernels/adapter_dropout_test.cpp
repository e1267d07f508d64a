// SPDX-License-Identifier: Apache-2.0
// adapter_dropout_backward against sums in double and the generator's own words.
#include "kernels/adapter_dropout.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/rng.h"
#include "kernels/matmul.h"
#include "support/op_harness.h"

namespace nibble {
namespace {

constexpr uint64_t kSeed = 0x0123456789abcdef, kCounter = 0x00000000fffffff0;

struct Case {
  int64_t n, width;
  std::vector<int64_t> ranks;
  Dtype dtype = Dtype::kBf16;
  float p = 0.25f;
  int64_t gap = 8;  // between rows: what leaves 16-byte accesses aligned, or does not

  int64_t all_ranks() const {
    int64_t all = 0;
    for (const int64_t r : ranks) all += r;
    return all;
  }
  std::string name() const {
    std::string text = cat("adapter_dropout_backward ", dtype_name(dtype), " ",
                           shape_name({n, width}), " p ", p, " gap ", gap, " ranks");
    for (const int64_t r : ranks) text += cat(" ", r);
    return text;
  }
};

std::vector<Case> cases() {
  std::vector<Case> out;
  const std::vector<std::vector<int64_t>> groups = {{1},         {8},       {16, 16, 16}, {8, 24},
                                                    {64, 48, 8}, {128, 40}, {7, 3}};
  for (const auto& ranks : groups)
    for (const auto& [n, width] : {std::pair<int64_t, int64_t>{1, 8}, {17, 40}, {70, 136}}) {
      out.push_back({n, width, ranks});
      out.push_back({n, width, ranks, Dtype::kF32});
    }
  out.push_back({128, 128, {16}});  // a whole tile and nothing beside it
  out.push_back({131, 264, {16, 16}});
  out.push_back({300, 24, {32, 8, 8, 16}});
  out.push_back({5, 40, {8, 8, 8, 8, 8}});  // more than one launch takes
  out.push_back({33, 40, {16, 8}, Dtype::kBf16, 0.0f});
  out.push_back({33, 40, {16, 8}, Dtype::kBf16, 0.9f, 3});
  out.push_back({9, 21, {8}});
  out.push_back({9, 16, {136}});
  return out;
}

uint64_t stream_of(size_t part) {
  return 3 | (part + 1) << 40;
}

Tensor scratch_for(OpCase& op, const Tensor& product, const Tensor& dxa,
                   const std::vector<AdapterDropoutPart>& parts) {
  int64_t most = 0;
  for (const AdapterDropoutPart& p : parts)
    most = std::max(most, matmul_scratch_elements(
                              {.out = product, .a = columns(dxa, 0, p.a.dim(0)), .b = p.a}));
  return most > 0 ? op.scratch(Dtype::kF32, {most}).tensor() : Tensor{};
}

class AdapterDropout : public testing::TestWithParam<Case> {};

TEST_P(AdapterDropout, AddsWhatEachMaskKeeps) {
  const Case& c = GetParam();
  OpCase op(c.name(), 81);
  const int64_t ranks = c.all_ranks();
  Buffer& dx = op.accumulated("dx", c.dtype, {c.n, c.width}, c.gap);
  Buffer& dxa = op.input("dxa", c.dtype, {c.n, ranks}, c.gap);
  Buffer& product = op.scratch(c.dtype, {c.n, c.width});
  std::deque<Buffer*> a;
  for (const int64_t r : c.ranks) a.push_back(&op.input("a", c.dtype, {r, c.width}));
  // Where there is a pass a part, products and sums are rounded to the type on their way.
  const double roundoff = unit_roundoff(c.dtype);
  const Bounded scale = Bounded(1.0) / (Bounded(1.0) - Bounded(double(c.p)));
  std::vector<Bounded> want;
  for (int64_t i = 0; i < c.n; ++i)
    for (int64_t j = 0; j < c.width; ++j) {
      const int64_t at = i * c.width + j;
      std::vector<Bounded> shares;
      int64_t from = 0;
      double rounded = 0.0, reached = 1.0;  // dx begins below 1
      for (size_t k = 0; k < c.ranks.size(); ++k) {
        std::vector<Bounded> terms;
        for (int64_t r = 0; r < c.ranks[k]; ++r)
          terms.push_back(Bounded(dxa.at(i * ranks + from + r)) * a[k]->at(r * c.width + j));
        from += c.ranks[k];
        const auto words = philox(kSeed, stream_of(k), kCounter + uint64_t(at) / 4);
        if (unit_float(words[size_t(at % 4)]) < c.p) continue;
        shares.push_back(scale * sum(terms));
        reached += std::abs(shares.back().value);
        rounded += roundoff * (std::abs(shares.back().value) + reached);
      }
      Bounded total = sum(shares);
      total.error += rounded;
      want.push_back(total);
    }
  op.want(dx, want);
  const auto parts = [&] {
    std::vector<AdapterDropoutPart> list;
    for (size_t k = 0; k < c.ranks.size(); ++k)
      list.push_back({.a = a[k]->tensor(), .stream = stream_of(k)});
    return list;
  };
  const Tensor scratch = scratch_for(op, product.tensor(), dxa.tensor(), parts());
  op.check([&] {
    const auto list = parts();
    adapter_dropout_backward({.dx = dx.tensor(),
                              .dxa = dxa.tensor(),
                              .parts = list,
                              .p = c.p,
                              .seed = kSeed,
                              .counter = kCounter,
                              .product = product.tensor(),
                              .scratch = scratch});
  });
}

INSTANTIATE_TEST_SUITE_P(Groups, AdapterDropout, testing::ValuesIn(cases()));

// A draw names a range of counters, as it does for dropout itself.
TEST(AdapterDropoutDraw, NamesTheMask) {
  constexpr int64_t kN = 20, kWidth = 16, kRank = 8;
  OpCase op("adapter_dropout_backward of a draw", 82);
  Buffer& dx = op.accumulated("dx", Dtype::kBf16, {kN, kWidth});
  Buffer& dxa = op.input("dxa", Dtype::kBf16, {kN, kRank});
  Buffer& a = op.input("a", Dtype::kBf16, {kRank, kWidth});
  Buffer& product = op.scratch(Dtype::kBf16, {kN, kWidth});
  Buffer& draw = op.input("draw", Dtype::kI32, {1});
  draw.set_values({5});
  // Each column is of one element that is 1: what is added is dxa's own, twice.
  std::vector<double> ones(kRank * kWidth, 0.0);
  for (int64_t j = 0; j < kWidth; ++j) ones[size_t(j % kRank * kWidth + j)] = 1.0;
  a.set_values(ones);
  std::vector<Bounded> want;
  for (int64_t i = 0; i < kN * kWidth; ++i) {
    const auto words = philox(kSeed, 7, (uint64_t{5} << 36) + uint64_t(i) / 4);
    const bool keep = unit_float(words[size_t(i % 4)]) >= 0.5f;
    want.push_back(keep ? 2.0 * dxa.at(i / kWidth * kRank + i % kWidth % kRank) : 0.0);
  }
  op.want(dx, want);
  const Tensor scratch = scratch_for(op, product.tensor(), dxa.tensor(), {{.a = a.tensor()}});
  op.check([&] {
    const AdapterDropoutPart part{.a = a.tensor(), .stream = 7};
    adapter_dropout_backward({.dx = dx.tensor(),
                              .dxa = dxa.tensor(),
                              .parts = {&part, 1},
                              .p = 0.5f,
                              .seed = kSeed,
                              .draw = draw.tensor(),
                              .product = product.tensor(),
                              .scratch = scratch});
  });
}

// What is added is linear in dxa and in A: its differences along dxa are the dropped A themselves.
TEST(AdapterDropoutGradient, EqualsCentralDifferences) {
  constexpr int64_t kN = 3, kWidth = 5, kRank = 2;
  constexpr float kP = 0.5f;
  OpCase op("adapter_dropout_backward F32 against central differences", 83);
  Buffer& dx = op.accumulated("dx", Dtype::kF32, {kN, kWidth});
  Buffer& dxa = op.input("dxa", Dtype::kF32, {kN, kRank});
  Buffer& a = op.input("a", Dtype::kF32, {kRank, kWidth});
  Buffer& product = op.scratch(Dtype::kF32, {kN, kWidth});
  std::vector<double> x(kN * kWidth, 0.0);
  // The forward pass: sum of dxa * (dropout(X) A^T), whose gradient by X is wanted.
  const auto loss = [&](const std::vector<double>& in) {
    double total = 0.0;
    for (int64_t i = 0; i < kN; ++i)
      for (int64_t r = 0; r < kRank; ++r)
        for (int64_t j = 0; j < kWidth; ++j) {
          const int64_t at = i * kWidth + j;
          const auto words = philox(kSeed, 7, kCounter + uint64_t(at) / 4);
          const bool keep = unit_float(words[size_t(at % 4)]) >= kP;
          if (keep) total += dxa.at(i * kRank + r) * a.at(r * kWidth + j) * 2.0 * in[size_t(at)];
        }
    return total;
  };
  // Sums of two products of numbers below 1, twice, added to a number below 1.
  const std::vector<Bounded> bounds(kN * kWidth, Bounded(4.0, 5 * 8 * Bounded::kU));
  op.want(dx, with_bounds_of(bounds, central_differences(loss, x)));
  const Tensor scratch = scratch_for(op, product.tensor(), dxa.tensor(), {{.a = a.tensor()}});
  op.check([&] {
    const AdapterDropoutPart part{.a = a.tensor(), .stream = 7};
    adapter_dropout_backward({.dx = dx.tensor(),
                              .dxa = dxa.tensor(),
                              .parts = {&part, 1},
                              .p = kP,
                              .seed = kSeed,
                              .counter = kCounter,
                              .product = product.tensor(),
                              .scratch = scratch});
  });
}

TEST(AdapterDropoutEntry, RefusesWrongArguments) {
  OpCase op("adapter_dropout_backward", 84);
  const Tensor dx = op.in_place("dx", Dtype::kF32, {2, 8}).tensor();
  const Tensor dxa = op.input("dxa", Dtype::kF32, {2, 3}).tensor();
  const Tensor a = op.input("a", Dtype::kF32, {3, 8}).tensor();
  const Tensor narrow = op.input("a", Dtype::kF32, {3, 4}).tensor();
  const Tensor few = op.input("a", Dtype::kF32, {2, 8}).tensor();
  const Tensor half = op.input("a", Dtype::kBf16, {3, 8}).tensor();
  const Tensor product = op.scratch(Dtype::kF32, {2, 8}).tensor();
  const auto call = [&](const Tensor& weight, float p, const Tensor& room) {
    const AdapterDropoutPart part{.a = weight};
    adapter_dropout_backward({.dx = dx, .dxa = dxa, .parts = {&part, 1}, .p = p, .product = room});
  };
  EXPECT_THROW(call(narrow, 0.5f, product), BugError);
  EXPECT_THROW(call(few, 0.5f, product), BugError);
  EXPECT_THROW(call(half, 0.5f, product), BugError);
  EXPECT_THROW(call(a, 1.0f, product), BugError);
  EXPECT_THROW(call(a, 0.5f, {}), BugError);
}

}  // namespace
}  // namespace nibble
