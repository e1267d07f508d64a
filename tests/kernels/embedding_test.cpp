// SPDX-License-Identifier: Apache-2.0
#include "kernels/embedding.h"

#include <gtest/gtest.h>

#include "support/op_harness.h"

namespace nibble {
namespace {

struct Case {
  int64_t n, v, c;
  Dtype dtype, table;
  std::string name(const char* op) const {
    return cat(op, " ", dtype_name(dtype), " table ", dtype_name(table), " ",
               shape_name({n, v, c}));
  }
};

class Embedding : public testing::TestWithParam<Case> {};

std::vector<Case> cases() {
  std::vector<Case> out;
  const std::vector<std::array<int64_t, 3>> shapes = {
      {1, 1, 1},   {3, 5, 3},   {7, 2, 7},   {5, 9, 8},   {2, 3, 9},
      {31, 7, 15}, {33, 3, 16}, {4, 13, 17}, {61, 5, 61}, {50, 11, 576},
  };
  for (const auto& [n, v, c] : shapes)
    for (const Dtype dtype : kFloatTypes)
      for (const Dtype table : {Dtype::kF32, Dtype::kBf16, Dtype::kF16})
        out.push_back({n, v, c, dtype, table});
  return out;
}

/// Ids over the whole vocabulary, both ends included.
void fill_ids(Buffer& ids, int64_t v, OpCase& op) {
  for (int64_t i = 0; i < ids.size(); ++i) ids.set(i, double(op.rng().below(uint64_t(v))));
  ids.set(0, double(v - 1));
  ids.set(ids.size() - 1, 0);
}

TEST_P(Embedding, Forward) {
  const auto& [n, v, c, dtype, table_type] = GetParam();
  OpCase op(GetParam().name("embedding_forward"), 31);
  Buffer& out = op.output("out", dtype, {n, c});
  Buffer& ids = op.input("ids", Dtype::kI32, {n});
  Buffer& table = op.input("table", table_type, {v, c});
  fill_ids(ids, v, op);
  std::vector<Bounded> want;
  for (int64_t k = 0; k < n * c; ++k)
    want.push_back(rounded_to(dtype, table.at(int64_t(ids.at(k / c)) * c + k % c)));
  op.want(out, want);
  op.check([&] {
    embedding_forward({.out = out.tensor(), .ids = ids.tensor(), .table = table.tensor()});
  });
  for (int64_t k = 0; k < n * c; ++k)
    ASSERT_EQ(out.at(k), want[size_t(k)].value) << "a look-up is exact, element " << k;
}

TEST_P(Embedding, Backward) {
  const auto& [n, v, c, dtype, table_type] = GetParam();
  if (table_type != Dtype::kF32) return;  // the gradient is fp32 whatever the table is
  for (const int64_t gap : {0, 8, 5}) {
    OpCase op(GetParam().name("embedding_backward") + cat(" gap ", gap), 32);
    Buffer& dtable = op.accumulated("dtable", Dtype::kF32, {v, c});
    Buffer& dout = op.input("dout", dtype, {n, c}, gap);
    Buffer& ids = op.input("ids", Dtype::kI32, {n});
    fill_ids(ids, v, op);
    std::vector<std::vector<Bounded>> terms(size_t(v * c));
    for (int64_t k = 0; k < n * c; ++k)
      terms[size_t(int64_t(ids.at(k / c)) * c + k % c)].push_back(dout.at(k));
    std::vector<Bounded> want;
    for (size_t e = 0; e < terms.size(); ++e) {
      // Added one by one to what is there, so the start takes part in every rounding.
      Bounded added = sum(terms[e]);
      added.error += double(terms[e].size()) * Bounded::kU * (2.0 + double(terms[e].size()));
      want.push_back(added);
    }
    op.want(dtable, want);
    op.check([&] {
      embedding_backward({.dtable = dtable.tensor(), .dout = dout.tensor(), .ids = ids.tensor()});
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Embedding, testing::ValuesIn(cases()));

TEST(EmbeddingGradient, EqualsCentralDifferences) {
  constexpr int64_t kN = 7, kV = 4, kC = 5;
  OpCase op("embedding_backward F32 (7,4,5) against central differences", 33);
  Buffer& dtable = op.accumulated("dtable", Dtype::kF32, {kV, kC});
  Buffer& dout = op.input("dout", Dtype::kF32, {kN, kC});
  Buffer& ids = op.input("ids", Dtype::kI32, {kN});
  fill_ids(ids, kV, op);
  const auto loss = [&](const std::vector<double>& table) {
    double total = 0;
    for (int64_t k = 0; k < kN * kC; ++k)
      total += table[size_t(int64_t(ids.at(k / kC)) * kC + k % kC)] * dout.at(k);
    return total;
  };
  std::vector<Bounded> bounds(kV * kC, Bounded(0.0, kN * (kN + 2.0) * Bounded::kU));
  op.want(dtable,
          with_bounds_of(bounds, central_differences(loss, std::vector<double>(kV * kC, 0.5))));
  op.check([&] {
    embedding_backward({.dtable = dtable.tensor(), .dout = dout.tensor(), .ids = ids.tensor()});
  });
}

TEST(EmbeddingEntry, RefusesWrongArguments) {
  OpCase op("embedding_forward", 34);
  const Tensor out = op.output("out", Dtype::kF32, {2, 3}).tensor();
  const Tensor table = op.input("table", Dtype::kF32, {4, 3}).tensor();
  Buffer& ids = op.input("ids", Dtype::kI32, {2});
  for (const double outside : {-1.0, 4.0, 2147483647.0}) {
    ids.set(1, outside);
    EXPECT_THROW(embedding_forward({.out = out, .ids = ids.tensor(), .table = table}), BugError);
    EXPECT_THROW(embedding_backward({.dtable = table, .dout = out, .ids = ids.tensor()}), BugError);
  }
  ids.set(1, 3);
  EXPECT_NO_THROW(embedding_forward({.out = out, .ids = ids.tensor(), .table = table}));
  Tensor cuda_out = out, cuda_table = table, cuda_ids = ids.tensor();
  cuda_out.device = cuda_table.device = cuda_ids.device = {.kind = DeviceKind::kCuda};
  EXPECT_THROW(embedding_forward({.out = cuda_out, .ids = cuda_ids, .table = cuda_table},
                                 {.device = cuda_out.device}),
               UnavailableError);
}

}  // namespace
}  // namespace nibble
