// SPDX-License-Identifier: Apache-2.0
// weave against a plain loop. What is written is a rounded product, so what is compared in the end
// is exact.
#include "kernels/weave.h"

#include <gtest/gtest.h>

#include "support/op_harness.h"

namespace nibble {
namespace {

struct PartCase {
  int64_t rows, width, column, from;  // from: of `in`; -1: absent
  float scale = 1.0f;
};
struct Case {
  std::vector<PartCase> parts;
  Dtype dtype;
  int64_t gap;
  std::string name() const {
    std::string text = cat("weave ", dtype_name(dtype), " gap ", gap);
    if (parts.size() > 9) return cat(text, " ", parts.size(), " parts");
    for (const PartCase& p : parts)
      text += cat(" ", p.from, " at ", p.column, " of ", shape_name({p.rows, p.width}));
    return text;
  }
};

std::vector<Case> cases() {
  std::vector<std::vector<PartCase>> groups = {
      {{1, 1, 0, 1}},
      {{3, 7, 2, 4, 0.5f}},
      {{5, 48, 0, 16, 2.0f}, {3, 48, 16, 16, 0.3f}, {4, 48, 32, 16, -1.0f}},
      {{5, 32, 0, -1}, {40, 32, 16, 16, 1.7f}},
      {{16, 1024, 0, 1024}, {300, 16, 0, 16, 4.0f}},
      {{7, 9, 9, 0}, {2, 8, 0, 8, 1e-3f}},
      {{0, 8, 0, 8}, {61, 24, 8, 8, 3.0f}},
      {{1, 4000, 100, 3800, 0.7f}},
  };
  // More parts than one launch takes, of all sizes.
  std::vector<PartCase> many;
  for (int64_t i = 0; i < 150; ++i) many.push_back({1 + i % 7, 8 * (1 + i % 5), 0, 8, 0.25f});
  groups.push_back(many);
  std::vector<Case> out;
  for (const auto& parts : groups)
    for (const Dtype dtype : kFloatTypes)
      for (const int64_t gap : {0, 8, 5}) out.push_back({parts, dtype, gap});
  return out;
}

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name();
}

class WeaveOp : public testing::TestWithParam<Case> {};

TEST_P(WeaveOp, EqualsThePlainLoop) {
  const Case& c = GetParam();
  OpCase op(c.name(), 91);
  std::vector<Buffer*> outs, ins;
  for (const PartCase& p : c.parts) {
    outs.push_back(&op.output("out", c.dtype, {p.rows, p.width}, c.gap));
    ins.push_back(p.from < 0 ? nullptr : &op.input("in", Dtype::kF32, {p.rows, p.from}));
    std::vector<Bounded> want;
    for (int64_t i = 0; i < p.rows * p.width; ++i) {
      const int64_t at = i % p.width - p.column;
      const bool inside = ins.back() && at >= 0 && at < p.from;
      const float from = inside ? static_cast<float>(ins.back()->at(i / p.width * p.from + at)) : 0;
      want.emplace_back(static_cast<double>(p.scale * from));
    }
    op.want(*outs.back(), want);
  }
  op.check([&] {
    std::vector<WeavePart> parts;
    for (size_t i = 0; i < outs.size(); ++i)
      parts.push_back({.out = outs[i]->tensor(),
                       .in = ins[i] ? ins[i]->tensor() : Tensor{},
                       .column = c.parts[i].column,
                       .scale = c.parts[i].scale});
    weave({.parts = parts});
  });
  for (size_t i = 0; i < outs.size(); ++i)
    for (int64_t k = 0; k < outs[i]->size(); ++k) {
      const PartCase& p = c.parts[i];
      const int64_t at = k % p.width - p.column;
      const bool inside = ins[i] && at >= 0 && at < p.from;
      const float from = inside ? static_cast<float>(ins[i]->at(k / p.width * p.from + at)) : 0;
      ASSERT_EQ(outs[i]->at(k), rounded_to(c.dtype, p.scale * from)) << c.name() << " " << k;
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, WeaveOp, testing::ValuesIn(cases()));

TEST(WeaveEntry, RefusesWrongArguments) {
  OpCase op("weave", 92);
  const Tensor out = op.output("out", Dtype::kBf16, {2, 6}).tensor();
  const Tensor wide = op.output("out", Dtype::kF32, {2, 6}).tensor();
  const Tensor in = op.input("in", Dtype::kF32, {2, 4}).tensor();
  const auto refused = [](std::vector<WeavePart> parts) {
    EXPECT_THROW(weave({.parts = parts}), BugError);
  };
  const std::vector<WeavePart> good = {{.out = out, .in = in, .column = 2}};
  EXPECT_NO_THROW(weave({.parts = good}));
  refused({{.out = out, .in = in, .column = 3}});
  refused({{.out = out, .in = in, .column = -1}});
  refused({{.out = out, .column = 7}});
  refused({{.out = out, .in = rows(in, 0, 1)}});
  refused({{.out = out, .in = op.input("in", Dtype::kBf16, {2, 4}).tensor()}});
  refused({{.out = out}, {.out = wide}});
  WeavePart elsewhere = good.front();
  elsewhere.out.device = elsewhere.in.device = {.kind = DeviceKind::kCuda};
  EXPECT_THROW(weave({.parts = {&elsewhere, 1}}, {.device = elsewhere.out.device}),
               UnavailableError);
}

}  // namespace
}  // namespace nibble
