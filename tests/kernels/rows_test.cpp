// SPDX-License-Identifier: Apache-2.0
// gather_rows and scatter_rows against plain loops, and each as the other's gradient. Rows are
// moved, so what is compared in the end is exact.
#include "kernels/rows.h"

#include <gtest/gtest.h>

#include <numeric>

#include "support/op_harness.h"

namespace nibble {
namespace {

struct Case {
  int64_t n, c;
  std::vector<double> rows;  // increasing
  Dtype dtype;
  int64_t m() const { return static_cast<int64_t>(rows.size()); }
  std::string name(const char* op) const {
    return cat(op, " ", dtype_name(dtype), " ", m(), " of ", shape_name({n, c}));
  }
};

/// Every `step`-th row of n from `first` on.
std::vector<double> some(int64_t n, int64_t first, int64_t step) {
  std::vector<double> rows;
  for (int64_t row = first; row < n; row += step) rows.push_back(static_cast<double>(row));
  return rows;
}

std::vector<Case> cases() {
  const std::vector<Case> shapes = {
      {1, 1, {0}, {}},
      {1, 1, {}, {}},
      {5, 3, {0, 4}, {}},
      {7, 7, some(7, 1, 2), {}},
      {7, 8, {3}, {}},
      {2, 9, {0, 1}, {}},
      {31, 15, {}, {}},
      {33, 16, {0, 31}, {}},
      {4, 17, some(4, 0, 1), {}},
      {61, 61, {7, 8, 60}, {}},
      {50, 576, {1, 2, 3}, {}},
      {3, 2056, {1, 2}, {}},
      {80, 9, some(80, 14, 1), {}},
      {150, 24, some(150, 2, 1), {}},
      {700, 8, some(700, 0, 7), {}},
  };
  std::vector<Case> out;
  for (Case c : shapes)
    for (const Dtype dtype : kFloatTypes) {
      c.dtype = dtype;
      out.push_back(c);
    }
  return out;
}

class RowsOp : public testing::TestWithParam<Case> {};

TEST_P(RowsOp, Gather) {
  const Case& c = GetParam();
  OpCase op(c.name("gather_rows"), 81);
  Buffer& out = op.output("out", c.dtype, {c.m(), c.c});
  Buffer& in = op.input("in", c.dtype, {c.n, c.c});
  Buffer& rows = op.input("rows", Dtype::kI32, {c.m()});
  // Gathering takes rows in any order.
  std::vector<double> order = c.rows;
  std::reverse(order.begin(), order.end());
  rows.set_values(order);
  std::vector<Bounded> want;
  for (const double row : order)
    for (int64_t i = 0; i < c.c; ++i) want.emplace_back(in.at(static_cast<int64_t>(row) * c.c + i));
  op.want(out, want);
  op.check([&] { gather_rows({.out = out.tensor(), .in = in.tensor(), .rows = rows.tensor()}); });
  for (int64_t k = 0; k < out.size(); ++k) ASSERT_EQ(out.at(k), want[size_t(k)].value) << k;
}

TEST_P(RowsOp, Scatter) {
  const Case& c = GetParam();
  for (const int64_t gap : {0, 8, 5}) {
    OpCase op(c.name("scatter_rows") + cat(" gap ", gap), 82);
    Buffer& out = op.output("out", c.dtype, {c.n, c.c}, gap);
    Buffer& in = op.input("in", c.dtype, {c.m(), c.c});
    Buffer& rows = op.input("rows", Dtype::kI32, {c.m()});
    rows.set_values(c.rows);
    std::vector<Bounded> want(static_cast<size_t>(c.n * c.c), 0.0);
    for (int64_t k = 0; k < in.size(); ++k)
      want[size_t(rows.at(k / c.c)) * size_t(c.c) + size_t(k % c.c)] = in.at(k);
    op.want(out, want);
    op.check(
        [&] { scatter_rows({.out = out.tensor(), .in = in.tensor(), .rows = rows.tensor()}); });
    for (int64_t k = 0; k < out.size(); ++k) ASSERT_EQ(out.at(k), want[size_t(k)].value) << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, RowsOp, testing::ValuesIn(cases()),
                         [](const auto& test) { return cat("n", test.index); });

/// What scatter makes of a loss's gradient is the gradient of the loss of what was gathered.
TEST(RowsGradient, ScatteringEqualsCentralDifferences) {
  const Case c{9, 5, {0, 3, 4, 8}, Dtype::kF32};
  OpCase op("scatter_rows against central differences", 83);
  Buffer& din = op.output("din", c.dtype, {c.n, c.c});
  Buffer& dout = op.input("dout", c.dtype, {c.m(), c.c});
  Buffer& rows = op.input("rows", Dtype::kI32, {c.m()});
  rows.set_values(c.rows);
  const auto loss = [&](const std::vector<double>& x) {
    double total = 0;
    for (int64_t k = 0; k < dout.size(); ++k)
      total += x[size_t(rows.at(k / c.c)) * size_t(c.c) + size_t(k % c.c)] * dout.at(k);
    return total;
  };
  const std::vector<double> x(static_cast<size_t>(c.n * c.c), 0.5);
  std::vector<Bounded> want;
  for (const double d : central_differences(loss, x)) want.emplace_back(d, kDifferenceError);
  op.want(din, want);
  op.check(
      [&] { scatter_rows({.out = din.tensor(), .in = dout.tensor(), .rows = rows.tensor()}); });
}

TEST(RowsEntry, RefusesWrongArguments) {
  OpCase op("rows", 84);
  const Tensor wide = op.in_place("wide", Dtype::kF32, {4, 3}).tensor();
  const Tensor picked = op.in_place("picked", Dtype::kF32, {2, 3}).tensor();
  const Tensor half = op.in_place("half", Dtype::kBf16, {2, 3}).tensor();
  const Tensor narrow = op.in_place("narrow", Dtype::kF32, {2, 2}).tensor();
  Buffer& rows = op.input("rows", Dtype::kI32, {2});
  rows.set_values({1, 3});
  EXPECT_NO_THROW(gather_rows({.out = picked, .in = wide, .rows = rows.tensor()}));
  EXPECT_NO_THROW(scatter_rows({.out = wide, .in = picked, .rows = rows.tensor()}));
  for (const Tensor& bad : {half, narrow, wide}) {
    EXPECT_THROW(gather_rows({.out = bad, .in = wide, .rows = rows.tensor()}), BugError);
    EXPECT_THROW(scatter_rows({.out = wide, .in = bad, .rows = rows.tensor()}), BugError);
  }
  rows.set_values({1, 4});
  EXPECT_THROW(gather_rows({.out = picked, .in = wide, .rows = rows.tensor()}), BugError);
  rows.set_values({3, 1});
  EXPECT_THROW(scatter_rows({.out = wide, .in = picked, .rows = rows.tensor()}), BugError);
}

}  // namespace
}  // namespace nibble
