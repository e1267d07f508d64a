// SPDX-License-Identifier: Apache-2.0
#include "kernels/rmsnorm.h"

#include <gtest/gtest.h>

#include "support/op_harness.h"

namespace nibble {
namespace {

constexpr float kEps = 1e-5f;

template <class Real>
Real rstd_reference(const Real* x, size_t c) {
  std::vector<Real> squares;
  for (size_t i = 0; i < c; ++i) squares.push_back(x[i] * x[i]);
  using std::sqrt;
  return Real(1.0) / sqrt(sum(squares) / Real(double(c)) + Real(kEps));
}

template <class Real>
struct Normalised {
  std::vector<Real> rstd, out;
};

template <class Real>
Normalised<Real> forward_reference(const std::vector<double>& in,
                                   const std::vector<double>& weight) {
  const size_t c = weight.size();
  Normalised<Real> y;
  for (size_t row = 0; row < in.size(); row += c) {
    const std::vector<Real> x(in.begin() + long(row), in.begin() + long(row + c));
    const Real rstd = rstd_reference(x.data(), c);
    y.rstd.push_back(rstd);
    for (size_t i = 0; i < c; ++i) y.out.push_back(x[i] * rstd * Real(weight[i]));
  }
  return y;
}

template <class Real>
struct Gradients {
  std::vector<Real> din, dweight;
};

template <class Real>
Gradients<Real> backward_reference(const std::vector<double>& dout, const std::vector<double>& in,
                                   const std::vector<Real>& rstd,
                                   const std::vector<double>& weight) {
  const size_t c = weight.size(), rows = in.size() / c;
  Gradients<Real> gradients;
  std::vector<std::vector<Real>> weight_terms(c);
  for (size_t n = 0; n < rows; ++n) {
    std::vector<Real> g, products;
    for (size_t i = 0; i < c; ++i) {
      const Real x = in[n * c + i], d = dout[n * c + i];
      g.push_back(d * Real(weight[i]));
      products.push_back(g[i] * x);
      weight_terms[i].push_back(d * x * rstd[n]);
    }
    const Real mean = sum(products) / Real(double(c));
    for (size_t i = 0; i < c; ++i)
      gradients.din.push_back(rstd[n] * (g[i] - Real(in[n * c + i]) * (rstd[n] * rstd[n] * mean)));
  }
  for (const auto& terms : weight_terms) gradients.dweight.push_back(sum(terms));
  return gradients;
}

/// rstd as the forward pass stores it: an fp32 input of backward, exact by definition.
std::vector<double> stored_rstd(const std::vector<double>& in, const std::vector<double>& weight) {
  std::vector<double> rstd = forward_reference<double>(in, weight).rstd;
  for (double& r : rstd) r = rounded_to(Dtype::kF32, r);
  return rstd;
}

struct Case {
  int64_t n, c;
  Dtype dtype, weight;

  std::string name(const char* op) const {
    return cat(op, " ", dtype_name(dtype), " weight ", dtype_name(weight), " ", shape_name({n, c}));
  }
};

class Rmsnorm : public testing::TestWithParam<Case> {};

std::vector<Case> cases() {
  std::vector<Case> out;
  const std::vector<std::pair<int64_t, int64_t>> shapes = {
      {1, 1},  {1, 3},   {3, 7},   {5, 8},    {2, 9},    {7, 15},   {3, 16},    {33, 17}, {2, 31},
      {4, 65}, {67, 61}, {70, 64}, {64, 576}, {2, 1023}, {1, 2049}, {2, 16500}, {7, 128}, {3, 256},
  };
  for (const auto& [n, c] : shapes)
    for (const Dtype dtype : kFloatTypes)
      for (const Dtype weight : kFloatTypes) out.push_back({n, c, dtype, weight});
  return out;
}

/// Between the rows of what may lie in a wider matrix: nothing; what leaves 16-byte accesses
/// aligned; what does not.
constexpr int64_t kGaps[] = {0, 8, 5};

TEST_P(Rmsnorm, Forward) {
  const auto& [n, c, dtype, weight_type] = GetParam();
  for (const int64_t gap : kGaps) {
    OpCase op(GetParam().name("rmsnorm_forward") + cat(" gap ", gap), 5);
    Buffer& in = op.input("in", dtype, {n, c});
    Buffer& weight = op.input("weight", weight_type, {c});
    Buffer& out = op.output("out", dtype, {n, c}, gap);
    Buffer& rstd = op.output("rstd", Dtype::kF32, {n});
    const auto want = forward_reference<Bounded>(in.values(), weight.values());
    op.want(out, want.out);
    op.want(rstd, want.rstd);
    op.check([&] {
      rmsnorm_forward({.out = out.tensor(),
                       .rstd = rstd.tensor(),
                       .in = in.tensor(),
                       .weight = weight.tensor(),
                       .eps = kEps});
    });
  }
}

TEST_P(Rmsnorm, ForwardWithResidual) {
  const auto& [n, c, dtype, weight_type] = GetParam();
  OpCase op(GetParam().name("rmsnorm_forward with delta"), 6);
  Buffer& in = op.in_place("in", dtype, {n, c});
  Buffer& delta = op.input("delta", dtype, {n, c});
  Buffer& weight = op.input("weight", weight_type, {c});
  Buffer& out = op.output("out", dtype, {n, c});
  std::vector<double> sums;
  for (int64_t i = 0; i < in.size(); ++i) sums.push_back(rounded_to(dtype, in.at(i) + delta.at(i)));
  op.want(in, std::vector<Bounded>(sums.begin(), sums.end()));
  op.want(out, forward_reference<Bounded>(sums, weight.values()).out);
  op.check([&] {
    rmsnorm_forward({.out = out.tensor(),
                     .sum = in.tensor(),
                     .in = in.tensor(),
                     .delta = delta.tensor(),
                     .weight = weight.tensor(),
                     .eps = kEps});
  });
}

/// What backward of n rows of c columns is given and gives, rstd that of the inputs.
struct BackwardCase {
  Buffer &din, &dweight, &dout, &in, &rstd, &weight;

  BackwardCase(OpCase& op, int64_t n, int64_t c, Dtype dtype, Dtype weight_type, int64_t gap = 0)
      : din(op.accumulated("din", dtype, {n, c}, gap)),
        dweight(op.accumulated("dweight", Dtype::kF32, {c})),
        dout(op.input("dout", dtype, {n, c})),
        in(op.input("in", dtype, {n, c})),
        rstd(op.input("rstd", Dtype::kF32, {n})),
        weight(op.input("weight", weight_type, {c})) {
    rstd.set_values(stored_rstd(in.values(), weight.values()));
  }
  void run() const {
    rmsnorm_backward({.din = din.tensor(),
                      .dweight = dweight.tensor(),
                      .dout = dout.tensor(),
                      .in = in.tensor(),
                      .rstd = rstd.tensor(),
                      .weight = weight.tensor()});
  }
};

/// The gradients where rstd is just what was stored.
Gradients<Bounded> gradients_of_stored(const Buffer& dout, const Buffer& in, const Buffer& rstd,
                                       const Buffer& weight) {
  const auto r = rstd.values();
  return backward_reference<Bounded>(dout.values(), in.values(),
                                     std::vector<Bounded>(r.begin(), r.end()), weight.values());
}

TEST_P(Rmsnorm, Backward) {
  const auto& [n, c, dtype, weight_type] = GetParam();
  for (const int64_t gap : kGaps) {
    OpCase op(GetParam().name("rmsnorm_backward") + cat(" gap ", gap), 7);
    const BackwardCase b(op, n, c, dtype, weight_type, gap);
    const auto want = gradients_of_stored(b.dout, b.in, b.rstd, b.weight);
    op.want(b.din, want.din);
    op.want(b.dweight, want.dweight);
    op.check([&] { b.run(); });
  }
}

/// Heads of c columns, 3 a row, inside rows that are wider: by what leaves 16-byte accesses
/// aligned, and by what does not.
constexpr int64_t kHeadGaps[] = {5, 8};

TEST_P(Rmsnorm, Heads) {
  const auto& [n, c, dtype, weight_type] = GetParam();
  constexpr int64_t kHeads = 3;
  for (const int64_t gap : kHeadGaps) {
    OpCase op(GetParam().name("rmsnorm_heads_forward"), 8);
    Buffer& inout = op.in_place("inout", dtype, {n, kHeads * c}, gap);
    Buffer& weight = op.input("weight", weight_type, {c});
    Buffer& rstd = op.output("rstd", Dtype::kF32, {n, kHeads});
    const auto want = forward_reference<Bounded>(inout.values(), weight.values());
    op.want(inout, want.out);
    op.want(rstd, want.rstd);
    op.check([&] {
      rmsnorm_heads_forward(
          {.inout = inout.tensor(), .rstd = rstd.tensor(), .weight = weight.tensor(), .eps = kEps});
    });
  }
}

TEST_P(Rmsnorm, HeadsBackward) {
  const auto& [n, c, dtype, weight_type] = GetParam();
  constexpr int64_t kHeads = 3;
  for (const int64_t gap : kHeadGaps) {
    OpCase op(GetParam().name("rmsnorm_heads_backward"), 9);
    Buffer& dinout = op.in_place("dinout", dtype, {n, kHeads * c}, gap);
    Buffer& dweight = op.accumulated("dweight", Dtype::kF32, {c});
    Buffer& in = op.input("in", dtype, {n, kHeads * c}, gap);
    Buffer& rstd = op.input("rstd", Dtype::kF32, {n, kHeads});
    Buffer& weight = op.input("weight", weight_type, {c});
    rstd.set_values(stored_rstd(in.values(), weight.values()));
    const auto r = rstd.values();
    const auto want = backward_reference<Bounded>(
        dinout.values(), in.values(), std::vector<Bounded>(r.begin(), r.end()), weight.values());
    op.want(dinout, want.din);
    op.want(dweight, want.dweight);
    op.check([&] {
      rmsnorm_heads_backward({.dinout = dinout.tensor(),
                              .dweight = dweight.tensor(),
                              .in = in.tensor(),
                              .rstd = rstd.tensor(),
                              .weight = weight.tensor()});
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Rmsnorm, testing::ValuesIn(cases()));

TEST(RmsnormGradient, EqualsCentralDifferences) {
  OpCase op("rmsnorm_backward F32 (3,17) against central differences", 10);
  const BackwardCase b(op, 3, 17, Dtype::kF32, Dtype::kF32);
  const auto w = b.weight.values(), x = b.in.values();
  // Here rstd is a function of the input, and what backward is given is that rounded.
  std::vector<Bounded> r;
  for (const double exact : forward_reference<double>(x, w).rstd)
    r.push_back(Bounded(exact).rounded());
  const auto bounds = backward_reference<Bounded>(b.dout.values(), x, r, w);
  const auto loss = [&](const std::vector<double>& at, const std::vector<double>& by) {
    const auto out = forward_reference<double>(at, by).out;
    double total = 0;
    for (size_t i = 0; i < out.size(); ++i) total += out[i] * b.dout.at(int64_t(i));
    return total;
  };
  op.want(b.din, with_bounds_of(bounds.din,
                                central_differences([&](const auto& v) { return loss(v, w); }, x)));
  op.want(b.dweight,
          with_bounds_of(bounds.dweight,
                         central_differences([&](const auto& v) { return loss(x, v); }, w)));
  op.check([&] { b.run(); });
}

TEST(RmsnormEntry, RefusesWrongArguments) {
  OpCase op("rmsnorm_forward", 11);
  const Tensor in = op.input("in", Dtype::kF32, {2, 4}).tensor();
  const Tensor out = op.output("out", Dtype::kF32, {2, 4}).tensor();
  const Tensor weight = op.input("weight", Dtype::kF32, {4}).tensor();
  const Tensor short_weight = op.input("weight", Dtype::kF32, {3}).tensor();
  const Tensor half = op.output("out", Dtype::kBf16, {2, 4}).tensor();
  const Tensor gapped = op.output("out", Dtype::kF32, {2, 4}, 1).tensor();
  const RmsnormForward good{.out = out, .in = in, .weight = weight};
  const auto refused = [&](auto change) {
    RmsnormForward bad = good;
    change(bad);
    EXPECT_THROW(rmsnorm_forward(bad), BugError);
  };
  EXPECT_NO_THROW(rmsnorm_forward(good));
  refused([&](auto& bad) { bad.weight = short_weight; });
  refused([&](auto& bad) { bad.out = half; });
  refused([&](auto& bad) { bad.in = gapped; });
  refused([&](auto& bad) { bad.out.data = nullptr; });
  refused([&](auto& bad) { bad.delta = in; });  // and nowhere to put the sum
  try {
    rmsnorm_forward({.out = half, .in = in, .weight = weight});
  } catch (const BugError& error) {
    EXPECT_STREQ(error.what(), "rmsnorm_forward: out is BF16(2,4), want F32(2,4)");
  }
}

TEST(RmsnormEntry, CudaIsNeverTheCpu) {
  OpCase op("rmsnorm_forward", 12);
  const Device cuda{.kind = DeviceKind::kCuda};
  Tensor in = op.input("in", Dtype::kF32, {2, 4}).tensor();
  Tensor out = op.output("out", Dtype::kF32, {2, 4}).tensor();
  Tensor weight = op.input("weight", Dtype::kF32, {4}).tensor();
  in.device = out.device = weight.device = cuda;
  const RmsnormForward arguments{.out = out, .in = in, .weight = weight};
  EXPECT_THROW(rmsnorm_forward(arguments, {.device = cuda}), UnavailableError);
  EXPECT_THROW(rmsnorm_forward(arguments), BugError);  // tensors and stream disagree
}

}  // namespace
}  // namespace nibble
