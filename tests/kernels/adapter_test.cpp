// SPDX-License-Identifier: Apache-2.0
// adapter_forward and adapter_backward against sums in double, over groups of one to three parts.
#include "kernels/adapter.h"

#include <gtest/gtest.h>

#include <deque>

#include "kernels/matmul.h"
#include "support/op_harness.h"

namespace nibble {
namespace {

struct PartCase {
  int64_t outputs, rank;
  float scale = 1.0f;
};
struct Case {
  int64_t n;
  std::vector<PartCase> parts;
  Dtype dtype = Dtype::kBf16;
  int64_t gap = 8;  // between rows: what leaves 16-byte accesses aligned, or does not

  int64_t outputs() const {
    int64_t all = 0;
    for (const PartCase& p : parts) all += p.outputs;
    return all;
  }
  int64_t ranks() const {
    int64_t all = 0;
    for (const PartCase& p : parts) all += p.rank;
    return all;
  }
  std::string name(const char* op) const {
    std::string text = cat(op, " ", dtype_name(dtype), " N ", n, " gap ", gap);
    for (const PartCase& p : parts) text += cat(" (", p.outputs, ",", p.rank, ")");
    return text;
  }
};

std::vector<Case> cases() {
  const std::vector<std::vector<PartCase>> groups = {
      {{1, 1}},
      {{8, 8, 0.5f}},
      {{40, 16, 2.0f}, {8, 16, -1.0f}, {16, 16}},
      {{24, 8}, {72, 24, 0.25f}},
      {{160, 64}},
      {{136, 128, 0.5f}, {8, 40}},
      {{7, 3}, {9, 16}},
      {{264, 32, 0.5f}, {32, 16}},
  };
  std::vector<Case> out;
  for (const auto& parts : groups)
    for (const int64_t n : {1, 17, 70}) {
      out.push_back({n, parts});
      out.push_back({n, parts, Dtype::kF32});
    }
  out.push_back({131, {{48, 16}, {40, 8}}});
  out.push_back({300, {{8, 8}}});
  // Whole tiles and nothing beside them.
  out.push_back({128, {{256, 16}}});
  out.push_back({32, {{128, 64}}});
  out.push_back({128, {{32, 64}}});
  out.push_back({131, {{40, 64}, {16, 128}}});
  // Several tiles of outputs, several shares of the rows, and more rows than are taken at a time.
  out.push_back({150, {{1032, 16, 0.5f}, {520, 8}}});
  out.push_back({260, {{512, 24}, {16, 32, 2.0f}}});
  out.push_back({4200, {{8, 8}}});
  out.push_back({33, {{40, 16}, {8, 16}}, Dtype::kBf16, 3});
  out.push_back({9, {{8, 136}}});
  out.push_back({5, {{8, 8}, {8, 8}, {8, 8}, {8, 8}, {8, 8}}});
  return out;
}

Tensor scratch_for(OpCase& op, const Tensor& y, const Tensor& xa,
                   const std::vector<AdapterPart>& parts) {
  int64_t most = 0;
  for (const AdapterPart& p : parts) {
    const Tensor part_y = columns(y, p.column, p.b.dim(0)), part_xa = columns(xa, 0, p.b.dim(1));
    Tensor db = p.b;
    db.dtype = Dtype::kF32;
    const auto yes = Transpose::kYes;
    for (const Matmul& m : {Matmul{.out = part_y, .a = part_xa, .b = p.b, .b_transpose = yes},
                            Matmul{.out = db, .a = part_y, .b = part_xa, .a_transpose = yes},
                            Matmul{.out = part_xa, .a = part_y, .b = p.b}})
      most = std::max(most, matmul_scratch_elements(m));
  }
  return most > 0 ? op.scratch(Dtype::kF32, {most}).tensor() : Tensor{};
}

class Adapter : public testing::TestWithParam<Case> {};

void check_forward(const Case& c, AdapterForward::Output output) {
  const bool adds = output == AdapterForward::Output::kAdd;
  OpCase op(c.name(adds ? "adapter_forward" : "adapter_forward, written"), 71);
  Buffer& y = op.in_place("y", c.dtype, {c.n, c.outputs() + 8}, c.gap);
  Buffer& xa = op.input("xa", c.dtype, {c.n, c.ranks()}, c.gap);
  std::deque<Buffer*> b;
  for (const PartCase& p : c.parts) b.push_back(&op.input("b", c.dtype, {p.outputs, p.rank}));
  std::vector<Bounded> want;
  for (const double v : y.values()) want.push_back(v);
  const auto width = y.tensor().dim(1);
  for (int64_t i = 0; i < c.n; ++i) {
    int64_t column = 8, from = 0;  // the first eight columns are nobody's
    for (size_t k = 0; k < c.parts.size(); ++k) {
      const PartCase& p = c.parts[k];
      for (int64_t o = 0; o < p.outputs; ++o) {
        std::vector<Bounded> terms;
        for (int64_t r = 0; r < p.rank; ++r)
          terms.push_back(Bounded(xa.at(i * c.ranks() + from + r)) * b[k]->at(o * p.rank + r));
        Bounded& place = want[size_t(i * width + column + o)];
        const Bounded product = Bounded(double(p.scale)) * sum(terms);
        place = adds ? place + product : product;
      }
      column += p.outputs;
      from += p.rank;
    }
  }
  op.want(y, want);
  const auto parts = [&] {
    std::vector<AdapterPart> out;
    int64_t column = 8;
    for (size_t k = 0; k < c.parts.size(); ++k) {
      out.push_back({.b = b[k]->tensor(), .column = column, .scale = c.parts[k].scale});
      column += c.parts[k].outputs;
    }
    return out;
  };
  const Tensor scratch = scratch_for(op, y.tensor(), xa.tensor(), parts());
  op.check([&] {
    const auto list = parts();
    adapter_forward(
        {.y = y.tensor(), .xa = xa.tensor(), .parts = list, .output = output, .scratch = scratch});
  });
}

TEST_P(Adapter, Forward) {
  check_forward(GetParam(), AdapterForward::Output::kAdd);
}
TEST_P(Adapter, ForwardWritten) {
  check_forward(GetParam(), AdapterForward::Output::kWrite);
}

TEST_P(Adapter, Backward) {
  const Case& c = GetParam();
  OpCase op(c.name("adapter_backward"), 72);
  Buffer& dy = op.input("dy", c.dtype, {c.n, c.outputs() + 8}, c.gap);
  Buffer& xa = op.input("xa", c.dtype, {c.n, c.ranks()}, c.gap);
  Buffer& dxa = op.output("dxa", c.dtype, {c.n, c.ranks()}, c.gap);
  std::deque<Buffer*> b, db;
  for (const PartCase& p : c.parts) {
    b.push_back(&op.input("b", c.dtype, {p.outputs, p.rank}));
    db.push_back(&op.accumulated("db", Dtype::kF32, {p.outputs, p.rank}));
  }
  const int64_t width = dy.tensor().dim(1);
  std::vector<Bounded> want(static_cast<size_t>(c.n * c.ranks()));
  int64_t column = 8, from = 0;
  for (size_t k = 0; k < c.parts.size(); ++k) {
    const PartCase& p = c.parts[k];
    for (int64_t i = 0; i < c.n; ++i)
      for (int64_t r = 0; r < p.rank; ++r) {
        std::vector<Bounded> terms;
        for (int64_t o = 0; o < p.outputs; ++o)
          terms.push_back(Bounded(dy.at(i * width + column + o)) * b[k]->at(o * p.rank + r));
        want[size_t(i * c.ranks() + from + r)] = Bounded(double(p.scale)) * sum(terms);
      }
    std::vector<Bounded> added;
    for (int64_t o = 0; o < p.outputs; ++o)
      for (int64_t r = 0; r < p.rank; ++r) {
        std::vector<Bounded> terms;
        for (int64_t i = 0; i < c.n; ++i)
          terms.push_back(Bounded(dy.at(i * width + column + o)) * xa.at(i * c.ranks() + from + r));
        added.push_back(Bounded(double(p.scale)) * sum(terms));
      }
    op.want(*db[k], added);
    column += p.outputs;
    from += p.rank;
  }
  op.want(dxa, want);
  const auto parts = [&] {
    std::vector<AdapterPart> out;
    int64_t at = 8;
    for (size_t k = 0; k < c.parts.size(); ++k) {
      out.push_back(
          {.b = b[k]->tensor(), .db = db[k]->tensor(), .column = at, .scale = c.parts[k].scale});
      at += c.parts[k].outputs;
    }
    return out;
  };
  const Tensor scratch = scratch_for(op, dy.tensor(), xa.tensor(), parts());
  op.check([&] {
    const auto list = parts();
    adapter_backward({.dxa = dxa.tensor(),
                      .dy = dy.tensor(),
                      .xa = xa.tensor(),
                      .parts = list,
                      .scratch = scratch});
  });
}

// dxa may lie in the very rows of dy, behind dy's own columns.
TEST(AdapterBackward, WritesBehindGradientsOfOutputs) {
  constexpr int64_t kN = 40, kO = 24, kR = 16;
  OpCase op("adapter_backward, dxa behind dy", 75);
  Buffer& both = op.in_place("dy and dxa", Dtype::kBf16, {kN, kO + kR});
  Buffer& xa = op.input("xa", Dtype::kBf16, {kN, kR});
  Buffer& b = op.input("b", Dtype::kBf16, {kO, kR});
  Buffer& db = op.accumulated("db", Dtype::kF32, {kO, kR});
  const auto dy = [&](int64_t i, int64_t o) { return both.at(i * (kO + kR) + o); };
  std::vector<Bounded> want, added;
  for (int64_t i = 0; i < kN; ++i) {
    for (int64_t o = 0; o < kO; ++o) want.push_back(dy(i, o));
    for (int64_t r = 0; r < kR; ++r) {
      std::vector<Bounded> terms;
      for (int64_t o = 0; o < kO; ++o) terms.push_back(Bounded(dy(i, o)) * b.at(o * kR + r));
      want.push_back(sum(terms));
    }
  }
  for (int64_t o = 0; o < kO; ++o)
    for (int64_t r = 0; r < kR; ++r) {
      std::vector<Bounded> terms;
      for (int64_t i = 0; i < kN; ++i) terms.push_back(Bounded(dy(i, o)) * xa.at(i * kR + r));
      added.push_back(sum(terms));
    }
  op.want(both, want);
  op.want(db, added);
  const auto parts = [&] { return std::vector<AdapterPart>{{.b = b.tensor(), .db = db.tensor()}}; };
  const Tensor scratch = scratch_for(op, both.tensor(), xa.tensor(), parts());
  op.check([&] {
    const auto list = parts();
    const Tensor rows = both.tensor();
    adapter_backward({.dxa = columns(rows, kO, kR),
                      .dy = columns(rows, 0, kO),
                      .xa = xa.tensor(),
                      .parts = list,
                      .scratch = scratch});
  });
}

INSTANTIATE_TEST_SUITE_P(Groups, Adapter, testing::ValuesIn(cases()));

TEST(AdapterGradient, EqualsCentralDifferences) {
  constexpr int64_t kN = 3, kO = 5, kR = 2;
  OpCase op("adapter_backward F32 against central differences", 73);
  Buffer& dy = op.input("dy", Dtype::kF32, {kN, kO});
  Buffer& xa = op.input("xa", Dtype::kF32, {kN, kR});
  Buffer& b = op.input("b", Dtype::kF32, {kO, kR});
  Buffer& dxa = op.output("dxa", Dtype::kF32, {kN, kR});
  Buffer& db = op.accumulated("db", Dtype::kF32, {kO, kR});
  constexpr float kScale = 0.5f;
  const auto loss = [&](const std::vector<double>& x, const std::vector<double>& w) {
    double total = 0;
    for (int64_t i = 0; i < kN; ++i)
      for (int64_t o = 0; o < kO; ++o)
        for (int64_t r = 0; r < kR; ++r)
          total +=
              dy.at(i * kO + o) * double(kScale) * x[size_t(i * kR + r)] * w[size_t(o * kR + r)];
    return total;
  };
  const auto x = xa.values(), w = b.values();
  // Each is a sum of five, or three, products of numbers below 1.
  const std::vector<Bounded> bounds(16, Bounded(5.0, 5 * 8 * Bounded::kU));
  const auto like = [&](const std::vector<double>& values) {
    return with_bounds_of({bounds.begin(), bounds.begin() + std::ssize(values)}, values);
  };
  op.want(dxa, like(central_differences([&](const auto& v) { return loss(v, w); }, x)));
  op.want(db, like(central_differences([&](const auto& v) { return loss(x, v); }, w)));
  const auto parts = [&] {
    return std::vector<AdapterPart>{{.b = b.tensor(), .db = db.tensor(), .scale = kScale}};
  };
  const Tensor scratch = scratch_for(op, dy.tensor(), xa.tensor(), parts());
  op.check([&] {
    const auto list = parts();
    adapter_backward({.dxa = dxa.tensor(),
                      .dy = dy.tensor(),
                      .xa = xa.tensor(),
                      .parts = list,
                      .scratch = scratch});
  });
}

TEST(AdapterEntry, RefusesWrongArguments) {
  OpCase op("adapter", 74);
  const Tensor y = op.in_place("y", Dtype::kF32, {2, 8}).tensor();
  const Tensor xa = op.input("xa", Dtype::kF32, {2, 3}).tensor();
  const Tensor b = op.input("b", Dtype::kF32, {4, 3}).tensor();
  const Tensor wide = op.input("b", Dtype::kF32, {4, 2}).tensor();
  const Tensor half = op.input("b", Dtype::kBf16, {4, 3}).tensor();
  const auto call = [&](const Tensor& weight, int64_t column) {
    const AdapterPart part{.b = weight, .column = column};
    adapter_forward({.y = y, .xa = xa, .parts = {&part, 1}});
  };
  EXPECT_THROW(call(b, 5), BugError);
  EXPECT_THROW(call(b, -1), BugError);
  EXPECT_THROW(call(wide, 0), BugError);
  EXPECT_THROW(call(half, 0), BugError);
  const AdapterPart part{.b = b};
  EXPECT_THROW(adapter_backward({.dxa = xa, .dy = y, .xa = xa, .parts = {&part, 1}}), BugError)
      << "db is absent";
}

}  // namespace
}  // namespace nibble
