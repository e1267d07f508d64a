// SPDX-License-Identifier: Apache-2.0
#include "kernels/swiglu.h"

#include <gtest/gtest.h>

#include "support/op_harness.h"

namespace nibble {
namespace {

template <class Real>
Real sigmoid(Real x) {
  using std::exp;
  // From exp(-|x|), so that an fp32 evaluation neither overflows nor cancels.
  const Real e = exp(value_of(x) < 0 ? x : -x);
  return (value_of(x) < 0 ? e : Real(1.0)) / (Real(1.0) + e);
}

template <class Real>
std::vector<Real> forward_reference(const std::vector<double>& gate_up, int64_t f) {
  std::vector<Real> out;
  for (size_t row = 0; row < gate_up.size(); row += size_t(2 * f))
    for (size_t i = 0; i < size_t(f); ++i) {
      const Real gate = gate_up[row + i], up = gate_up[row + size_t(f) + i];
      out.push_back(gate * sigmoid(gate) * up);
    }
  return out;
}

template <class Real>
std::vector<Real> backward_reference(const std::vector<double>& dout,
                                     const std::vector<double>& gate_up, int64_t f) {
  std::vector<Real> dgate_up(gate_up.size());
  for (size_t k = 0; k < dout.size(); ++k) {
    const size_t at = k / size_t(f) * size_t(2 * f) + k % size_t(f);
    const Real gate = gate_up[at], up = gate_up[at + size_t(f)], d = dout[k];
    const Real s = sigmoid(gate);
    dgate_up[at] = d * up * (s * (Real(1.0) + gate * (Real(1.0) - s)));
    dgate_up[at + size_t(f)] = d * gate * s;
  }
  return dgate_up;
}

struct Case {
  int64_t n, f;
  Dtype dtype;
  int64_t gap;  // between rows
  std::string name(const char* op) const {
    return cat(op, " ", dtype_name(dtype), " ", shape_name({n, f}), " gap ", gap);
  }
};

class Swiglu : public testing::TestWithParam<Case> {};

std::vector<Case> cases() {
  std::vector<Case> out;
  const std::vector<std::pair<int64_t, int64_t>> shapes = {
      {1, 1},  {1, 3},  {3, 7},  {5, 8},  {2, 9},    {7, 15},
      {3, 16}, {3, 17}, {2, 31}, {4, 61}, {9, 1536}, {2, 1021},
  };
  for (const auto& [n, f] : shapes)
    for (const Dtype dtype : kFloatTypes)
      for (const int64_t gap : {0, 8, 5}) out.push_back({n, f, dtype, gap});
  return out;
}

/// Gates from the middle to far out on both tails, where exp underflows.
void fill_gates(Buffer& gate_up, OpCase& op) {
  gate_up.fill_uniform(op.rng(), -4.0, 4.0);
  for (int64_t i = 0; i < gate_up.size(); i += 5)
    gate_up.set(i, 200.0 * (op.rng().uniform() - 0.5));
}

TEST_P(Swiglu, Forward) {
  const auto& [n, f, dtype, gap] = GetParam();
  OpCase op(GetParam().name("swiglu_forward"), 21);
  Buffer& gate_up = op.input("gate_up", dtype, {n, 2 * f}, gap);
  Buffer& out = op.output("out", dtype, {n, f}, gap);
  fill_gates(gate_up, op);
  op.want(out, forward_reference<Bounded>(gate_up.values(), f));
  op.check([&] { swiglu_forward({.out = out.tensor(), .gate_up = gate_up.tensor()}); });
}

TEST_P(Swiglu, Backward) {
  const auto& [n, f, dtype, gap] = GetParam();
  OpCase op(GetParam().name("swiglu_backward"), 22);
  Buffer& dgate_up = op.output("dgate_up", dtype, {n, 2 * f}, gap);
  Buffer& out = op.output("out", dtype, {n, f}, gap);
  Buffer& dout = op.input("dout", dtype, {n, f}, gap);
  Buffer& gate_up = op.input("gate_up", dtype, {n, 2 * f}, gap);
  fill_gates(gate_up, op);
  op.want(out, forward_reference<Bounded>(gate_up.values(), f));
  op.want(dgate_up, backward_reference<Bounded>(dout.values(), gate_up.values(), f));
  op.check([&] {
    swiglu_backward({.dgate_up = dgate_up.tensor(),
                     .out = out.tensor(),
                     .dout = dout.tensor(),
                     .gate_up = gate_up.tensor()});
  });
}

TEST_P(Swiglu, BackwardInPlace) {
  const auto& [n, f, dtype, gap] = GetParam();
  OpCase op(GetParam().name("swiglu_backward in place"), 23);
  Buffer& gate_up = op.in_place("gate_up", dtype, {n, 2 * f}, gap);
  Buffer& dout = op.input("dout", dtype, {n, f}, gap);
  op.want(gate_up, backward_reference<Bounded>(dout.values(), gate_up.values(), f));
  op.check([&] {
    swiglu_backward(
        {.dgate_up = gate_up.tensor(), .dout = dout.tensor(), .gate_up = gate_up.tensor()});
  });
}

INSTANTIATE_TEST_SUITE_P(Shapes, Swiglu, testing::ValuesIn(cases()));

TEST(SwigluGradient, EqualsCentralDifferences) {
  constexpr int64_t kN = 3, kF = 17;
  OpCase op("swiglu_backward F32 (3,17) against central differences", 24);
  Buffer& dgate_up = op.output("dgate_up", Dtype::kF32, {kN, 2 * kF});
  Buffer& dout = op.input("dout", Dtype::kF32, {kN, kF});
  Buffer& gate_up = op.input("gate_up", Dtype::kF32, {kN, 2 * kF});
  const auto loss = [&](const std::vector<double>& x) {
    const auto out = forward_reference<double>(x, kF);
    double total = 0;
    for (size_t i = 0; i < out.size(); ++i) total += out[i] * dout.at(int64_t(i));
    return total;
  };
  op.want(dgate_up, with_bounds_of(backward_reference<Bounded>(dout.values(), gate_up.values(), kF),
                                   central_differences(loss, gate_up.values())));
  op.check([&] {
    swiglu_backward(
        {.dgate_up = dgate_up.tensor(), .dout = dout.tensor(), .gate_up = gate_up.tensor()});
  });
}

TEST(SwigluEntry, RefusesWrongArguments) {
  OpCase op("swiglu_forward", 25);
  const Tensor out = op.output("out", Dtype::kF32, {2, 3}).tensor();
  const Tensor narrow = op.input("gate_up", Dtype::kF32, {2, 3}).tensor();
  const Tensor half = op.input("gate_up", Dtype::kBf16, {2, 6}).tensor();
  EXPECT_THROW(swiglu_forward({.out = out, .gate_up = narrow}), BugError);
  EXPECT_THROW(swiglu_forward({.out = out, .gate_up = half}), BugError);
  Tensor cuda_out = out, cuda_in = op.input("gate_up", Dtype::kF32, {2, 6}).tensor();
  cuda_out.device = cuda_in.device = {.kind = DeviceKind::kCuda};
  EXPECT_THROW(swiglu_forward({.out = cuda_out, .gate_up = cuda_in}, {.device = cuda_in.device}),
               UnavailableError);
}

}  // namespace
}  // namespace nibble
