// SPDX-License-Identifier: Apache-2.0
#include "kernels/cross_entropy.h"

#include <gtest/gtest.h>

#include <limits>

#include "support/op_harness.h"

namespace nibble {
namespace {

template <class Real>
struct Loss {
  std::vector<Real> losses, dlogits;
};

template <class Real>
Loss<Real> reference(const std::vector<double>& logits, const std::vector<double>& targets,
                     double grad_scale) {
  using std::exp, std::log;
  const size_t v = logits.size() / targets.size();
  Loss<Real> out;
  for (size_t m = 0; m < targets.size(); ++m) {
    const std::vector<double> row(logits.begin() + long(m * v), logits.begin() + long(m * v + v));
    const double top = *std::max_element(row.begin(), row.end());
    const auto target = size_t(targets[m]);
    std::vector<Real> exponentials;
    for (const double x : row) exponentials.push_back(exp(Real(x) - Real(top)));
    const Real total = sum(exponentials);
    out.losses.push_back(log(total) + (Real(top) - Real(row[target])));
    for (size_t i = 0; i < v; ++i) {
      const Real p = exponentials[i] / total;
      out.dlogits.push_back((i == target ? p - Real(1.0) : p) * Real(grad_scale));
    }
  }
  return out;
}

struct Case {
  int64_t m, v;
  Dtype dtype;
  std::string name(const char* what) const {
    return cat("cross_entropy ", what, " ", dtype_name(dtype), " ", shape_name({m, v}));
  }
};

class CrossEntropyOp : public testing::TestWithParam<Case> {};

std::vector<Case> cases() {
  std::vector<Case> out;
  const std::vector<std::pair<int64_t, int64_t>> shapes = {
      {1, 1},  {1, 3},  {3, 7},   {5, 8},    {2, 9},    {7, 15},    {3, 16},     {3, 17},
      {2, 31}, {4, 61}, {9, 512}, {3, 4099}, {2, 8209}, {2, 49152}, {1, 80'000},
  };
  for (const auto& [m, v] : shapes)
    for (const Dtype dtype : kFloatTypes) out.push_back({m, v, dtype});
  return out;
}

/// Logits over a range where some exponentials vanish; targets at both ends and between.
void fill(Buffer& logits, Buffer& targets, OpCase& op) {
  const int64_t v = logits.tensor().dim(1);
  logits.fill_uniform(op.rng(), -12.0, 12.0);
  for (int64_t i = 0; i < logits.size(); i += 11) logits.set(i, -150.0);
  for (int64_t i = 0; i < targets.size(); ++i) targets.set(i, double(op.rng().below(uint64_t(v))));
  targets.set(0, double(v - 1));
}

constexpr float kScale = 1.0f / 128;  // a power of two: exact in every type

TEST_P(CrossEntropyOp, LossAndGradient) {
  const auto& [m, v, dtype] = GetParam();
  OpCase op(GetParam().name("with gradient"), 41);
  Buffer& losses = op.output("losses", Dtype::kF32, {m});
  Buffer& dlogits = op.output("dlogits", dtype, {m, v});
  Buffer& logits = op.input("logits", dtype, {m, v});
  Buffer& targets = op.input("targets", Dtype::kI32, {m});
  fill(logits, targets, op);
  const auto want = reference<Bounded>(logits.values(), targets.values(), kScale);
  op.want(losses, want.losses);
  op.want(dlogits, want.dlogits);
  op.check([&] {
    cross_entropy({.losses = losses.tensor(),
                   .dlogits = dlogits.tensor(),
                   .logits = logits.tensor(),
                   .targets = targets.tensor(),
                   .grad_scale = kScale});
  });
}

TEST_P(CrossEntropyOp, InPlace) {
  const auto& [m, v, dtype] = GetParam();
  OpCase op(GetParam().name("in place"), 42);
  Buffer& losses = op.output("losses", Dtype::kF32, {m});
  Buffer& logits = op.in_place("logits", dtype, {m, v});
  Buffer& targets = op.input("targets", Dtype::kI32, {m});
  fill(logits, targets, op);
  const auto want = reference<Bounded>(logits.values(), targets.values(), kScale);
  op.want(losses, want.losses);
  op.want(logits, want.dlogits);
  op.check([&] {
    cross_entropy({.losses = losses.tensor(),
                   .dlogits = logits.tensor(),
                   .logits = logits.tensor(),
                   .targets = targets.tensor(),
                   .grad_scale = kScale});
  });
}

TEST_P(CrossEntropyOp, LossOnly) {
  const auto& [m, v, dtype] = GetParam();
  OpCase op(GetParam().name("loss only"), 43);
  Buffer& losses = op.output("losses", Dtype::kF32, {m});
  Buffer& logits = op.input("logits", dtype, {m, v});
  Buffer& targets = op.input("targets", Dtype::kI32, {m});
  fill(logits, targets, op);
  op.want(losses, reference<Bounded>(logits.values(), targets.values(), 1.0).losses);
  op.check([&] {
    cross_entropy(
        {.losses = losses.tensor(), .logits = logits.tensor(), .targets = targets.tensor()});
  });
}

INSTANTIATE_TEST_SUITE_P(Shapes, CrossEntropyOp, testing::ValuesIn(cases()));

TEST(CrossEntropyGradient, EqualsCentralDifferences) {
  constexpr int64_t kM = 3, kV = 17;
  OpCase op("cross_entropy F32 (3,17) against central differences", 44);
  Buffer& losses = op.output("losses", Dtype::kF32, {kM});
  Buffer& dlogits = op.output("dlogits", Dtype::kF32, {kM, kV});
  Buffer& logits = op.input("logits", Dtype::kF32, {kM, kV});
  Buffer& targets = op.input("targets", Dtype::kI32, {kM});
  for (int64_t m = 0; m < kM; ++m) targets.set(m, double(5 * m));
  const auto bounds = reference<Bounded>(logits.values(), targets.values(), 1.0);
  const auto total_loss = [&](const std::vector<double>& x) {
    return sum(reference<double>(x, targets.values(), 1.0).losses);
  };
  op.want(losses, bounds.losses);
  op.want(dlogits,
          with_bounds_of(bounds.dlogits, central_differences(total_loss, logits.values())));
  op.check([&] {
    cross_entropy({.losses = losses.tensor(),
                   .dlogits = dlogits.tensor(),
                   .logits = logits.tensor(),
                   .targets = targets.tensor()});
  });
}

TEST(CrossEntropyRows, WithoutATargetCountForNothing) {
  for (const Dtype dtype : kFloatTypes)
    for (const int64_t v : {1, 17, 4096}) {
      OpCase op(cat("cross_entropy without targets ", dtype_name(dtype), " ", shape_name({4, v})),
                47);
      Buffer& losses = op.output("losses", Dtype::kF32, {4});
      Buffer& dlogits = op.output("dlogits", dtype, {4, v});
      Buffer& logits = op.input("logits", dtype, {4, v});
      Buffer& targets = op.input("targets", Dtype::kI32, {4});
      Buffer& scale = op.input("scale", Dtype::kF32, {1});
      targets.set_values({0, 0, 0, 0});
      scale.set(0, 0.25);
      auto want = reference<Bounded>(logits.values(), targets.values(), kScale * 0.25);
      for (const int64_t row : {1, 3}) {
        targets.set(row, kNoTarget);
        want.losses[size_t(row)] = 0.0;
        for (int64_t i = 0; i < v; ++i) want.dlogits[size_t(row * v + i)] = 0.0;
      }
      op.want(losses, want.losses);
      op.want(dlogits, want.dlogits);
      op.check([&] {
        cross_entropy({.losses = losses.tensor(),
                       .dlogits = dlogits.tensor(),
                       .logits = logits.tensor(),
                       .targets = targets.tensor(),
                       .grad_scale = kScale,
                       .scale = scale.tensor()});
      });
    }
}

TEST(AddSumOp, AddsInDouble) {
  for (const int64_t m : {1, 7, 4096, 70001}) {
    OpCase op(cat("add_sum F32 ", shape_name({m})), 48);
    Buffer& out = op.accumulated("out", Dtype::kF64, {1});
    Buffer& in = op.input("in", Dtype::kF32, {m});
    double total = 0.0, magnitude = 0.0;
    for (const double x : in.values()) {
      total += x;
      magnitude += std::abs(x);
    }
    op.want(out, {Bounded(total, 0x1p-52 * double(m) * magnitude)});
    op.check([&] { add_sum({.out = out.tensor(), .in = in.tensor()}); });
  }
}

TEST(CrossEntropyNan, ANanLogitMakesItsLossNan) {
  for (const Dtype dtype : kFloatTypes)
    for (const int64_t place : {0, 16, 36}) {
      OpCase op("cross_entropy", 45);
      Buffer& losses = op.output("losses", Dtype::kF32, {2});
      Buffer& logits = op.input("logits", dtype, {2, 37});
      Buffer& targets = op.input("targets", Dtype::kI32, {2});
      targets.set_values({3, 3});
      logits.set(place, std::numeric_limits<double>::quiet_NaN());
      op.run([&] {
        cross_entropy(
            {.losses = losses.tensor(), .logits = logits.tensor(), .targets = targets.tensor()});
      });
      EXPECT_TRUE(std::isnan(losses.at(0))) << "NaN at " << place;
      EXPECT_TRUE(std::isfinite(losses.at(1)));
    }
}

TEST(CrossEntropyEntry, RefusesWrongArguments) {
  OpCase op("cross_entropy", 46);
  const Tensor losses = op.output("losses", Dtype::kF32, {2}).tensor();
  const Tensor logits = op.input("logits", Dtype::kF32, {2, 5}).tensor();
  Buffer& targets = op.input("targets", Dtype::kI32, {2});
  for (const double outside : {-100.0, -2.0, 5.0}) {
    targets.set(0, outside);
    EXPECT_THROW(cross_entropy({.losses = losses, .logits = logits, .targets = targets.tensor()}),
                 BugError);
  }
  targets.set_values({0, 4});
  EXPECT_NO_THROW(cross_entropy({.losses = losses, .logits = logits, .targets = targets.tensor()}));
  Tensor a = losses, b = logits, c = targets.tensor();
  a.device = b.device = c.device = {.kind = DeviceKind::kCuda};
  EXPECT_THROW(cross_entropy({.losses = a, .logits = b, .targets = c}, {.device = a.device}),
               UnavailableError);
}

}  // namespace
}  // namespace nibble
