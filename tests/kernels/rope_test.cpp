// SPDX-License-Identifier: Apache-2.0
#include "kernels/rope.h"

#include <gtest/gtest.h>

#include "support/op_harness.h"

namespace nibble {
namespace {

template <class Real>
std::vector<Real> reference(const std::vector<double>& x, const Buffer& cosines,
                            const Buffer& sines, const Buffer& positions, int64_t heads,
                            double sign) {
  const int64_t half = cosines.tensor().dim(1), d = 2 * half;
  std::vector<Real> out(x.size());
  for (int64_t r = 0; r < int64_t(x.size()) / d; ++r) {
    const auto position = int64_t(positions.at(r / heads));
    for (int64_t i = 0; i < half; ++i) {
      const Real c = cosines.at(position * half + i), s = sign * sines.at(position * half + i);
      const Real low = x[size_t(r * d + i)], high = x[size_t(r * d + half + i)];
      out[size_t(r * d + i)] = low * c - high * s;
      out[size_t(r * d + half + i)] = high * c + low * s;
    }
  }
  return out;
}

struct Case {
  int64_t n, heads, d;
  Dtype dtype;
  Rotation rotation;
  std::string name() const {
    return cat("rope ", rotation == Rotation::kForward ? "forward" : "backward", " ",
               dtype_name(dtype), " ", shape_name({n, heads, d}));
  }
};

class RopeOp : public testing::TestWithParam<Case> {};

std::vector<Case> cases() {
  std::vector<Case> out;
  const std::vector<std::array<int64_t, 3>> shapes = {
      {1, 1, 2},  {3, 2, 6},  {2, 5, 8},   {7, 1, 14},  {5, 3, 16}, {2, 3, 18},   {4, 1, 30},
      {3, 3, 32}, {2, 2, 34}, {40, 9, 64}, {3, 2, 128}, {2, 7, 94}, {513, 17, 8},
  };
  for (const auto& [n, heads, d] : shapes)
    for (const Dtype dtype : kFloatTypes)
      for (const Rotation rotation : {Rotation::kForward, Rotation::kBackward})
        out.push_back({n, heads, d, dtype, rotation});
  return out;
}

constexpr int64_t kPositions = 13;

/// Cosine and sine as a model's tables hold them.
void fill_tables(Buffer& cosines, Buffer& sines) {
  const int64_t half = cosines.tensor().dim(1);
  for (int64_t k = 0; k < cosines.size(); ++k) {
    const double angle = double(k / half) * std::pow(10000.0, -double(k % half) / double(half));
    cosines.set(k, std::cos(angle));
    sines.set(k, std::sin(angle));
  }
}

TEST_P(RopeOp, RotatesEveryHead) {
  const auto& [n, heads, d, dtype, rotation] = GetParam();
  OpCase op(GetParam().name(), 51);
  Buffer& inout = op.in_place("inout", dtype, {n, heads * d}, 3);  // inside wider rows
  Buffer& cosines = op.input("cos", Dtype::kF32, {kPositions, d / 2});
  Buffer& sines = op.input("sin", Dtype::kF32, {kPositions, d / 2});
  Buffer& positions = op.input("positions", Dtype::kI32, {n});
  fill_tables(cosines, sines);
  for (int64_t i = 0; i < n; ++i) positions.set(i, double(op.rng().below(kPositions)));
  positions.set(0, kPositions - 1);
  const double sign = rotation == Rotation::kForward ? 1.0 : -1.0;
  op.want(inout, reference<Bounded>(inout.values(), cosines, sines, positions, heads, sign));
  op.check([&] {
    rope({.inout = inout.tensor(),
          .cos = cosines.tensor(),
          .sin = sines.tensor(),
          .positions = positions.tensor(),
          .head_dim = d,
          .rotation = rotation});
  });
}

INSTANTIATE_TEST_SUITE_P(Shapes, RopeOp, testing::ValuesIn(cases()));

TEST(RopeGradient, EqualsCentralDifferences) {
  constexpr int64_t kN = 3, kHeads = 2, kD = 10;
  OpCase op("rope backward F32 (3,2,10) against central differences", 52);
  Buffer& dinout = op.in_place("inout", Dtype::kF32, {kN, kHeads * kD});
  Buffer& cosines = op.input("cos", Dtype::kF32, {kPositions, kD / 2});
  Buffer& sines = op.input("sin", Dtype::kF32, {kPositions, kD / 2});
  Buffer& positions = op.input("positions", Dtype::kI32, {kN});
  fill_tables(cosines, sines);
  positions.set_values({5, 0, 12});
  const auto dout = dinout.values();
  const auto loss = [&](const std::vector<double>& x) {
    const auto out = reference<double>(x, cosines, sines, positions, kHeads, 1.0);
    double total = 0;
    for (size_t i = 0; i < out.size(); ++i) total += out[i] * dout[i];
    return total;
  };
  op.want(dinout,
          with_bounds_of(reference<Bounded>(dout, cosines, sines, positions, kHeads, -1.0),
                         central_differences(loss, std::vector<double>(dout.size(), 0.25))));
  op.check([&] {
    rope({.inout = dinout.tensor(),
          .cos = cosines.tensor(),
          .sin = sines.tensor(),
          .positions = positions.tensor(),
          .head_dim = kD,
          .rotation = Rotation::kBackward});
  });
}

TEST(RopeEntry, RefusesWrongArguments) {
  OpCase op("rope", 53);
  Buffer& positions = op.input("positions", Dtype::kI32, {2});
  positions.set_values({0, 3});
  const Rope good{.inout = op.in_place("inout", Dtype::kF32, {2, 12}).tensor(),
                  .cos = op.input("cos", Dtype::kF32, {4, 3}).tensor(),
                  .sin = op.input("sin", Dtype::kF32, {4, 3}).tensor(),
                  .positions = positions.tensor(),
                  .head_dim = 6};
  EXPECT_NO_THROW(rope(good));
  for (const int64_t head_dim : {0, -6, 3, 5, 8, 12}) {
    Rope bad = good;
    bad.head_dim = head_dim;
    EXPECT_THROW(rope(bad), BugError) << head_dim;
  }
  for (const double outside : {-1.0, 4.0}) {
    positions.set(1, outside);
    EXPECT_THROW(rope(good), BugError) << outside;
  }
  Rope cuda = good;
  for (Tensor* t : {&cuda.inout, &cuda.cos, &cuda.sin, &cuda.positions})
    t->device = {.kind = DeviceKind::kCuda};
  EXPECT_THROW(rope(cuda, {.device = cuda.cos.device}), UnavailableError);
}

}  // namespace
}  // namespace nibble
