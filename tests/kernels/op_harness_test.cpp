// SPDX-License-Identifier: Apache-2.0
// The harness that judges every op is itself judged: each kind of fault is planted and must be
// reported.
#include "support/op_harness.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

namespace nibble {
namespace {

/// An op with one buffer of each kind, whose rule is out = 2 in, sum += in.
struct Planted {
  OpCase op{"planted f32 (5,3)", 7};
  Buffer& in = op.input("in", Dtype::kF32, {5, 3});
  Buffer& out = op.output("out", Dtype::kF32, {5, 3}, 2);
  Buffer& sum = op.accumulated("sum", Dtype::kF32, {5, 3});
  Buffer& scratch = op.scratch(Dtype::kF32, {1});

  Planted() {
    std::vector<Bounded> twice, once;
    for (const double x : in.values()) {
      twice.push_back(Bounded(x) * Bounded(2));
      once.push_back(Bounded(x));
    }
    op.want(out, twice);
    op.want(sum, once);
  }
  void honest() {
    for (int64_t i = 0; i < in.size(); ++i) {
      out.set(i, 2 * in.at(i));
      sum.set(i, sum.at(i) + in.at(i));
    }
  }
  float* data(Buffer& b) { return b.tensor().as<float>(); }
};

/// Every failure `call` leads to contains `what`, and there is at least one.
void expect_reported(const std::string& what, const std::function<void(Planted&)>& call) {
  testing::TestPartResultArray failures;
  {
    testing::ScopedFakeTestPartResultReporter catcher(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
    Planted planted;
    planted.op.check([&] { call(planted); });
  }
  ASSERT_GT(failures.size(), 0) << what;
  bool found = false;
  for (int i = 0; i < failures.size(); ++i)
    found = found ||
            std::string(failures.GetTestPartResult(i).message()).find(what) != std::string::npos;
  EXPECT_TRUE(found) << what << " not in: " << failures.GetTestPartResult(0).message();
}

TEST(OpHarness, AcceptsAnHonestOp) {
  Planted planted;
  planted.op.check([&] { planted.honest(); });
}

TEST(OpHarness, ReportsAnElementLeftUnwritten) {
  expect_reported("out[14]: want", [](Planted& p) {
    p.honest();
    p.out.set(14, std::nan(""));
  });
}

TEST(OpHarness, ReportsAWrongValue) {
  expect_reported("planted cpu f32 (5,3) out[4]: want", [](Planted& p) {
    p.honest();
    p.out.set(4, p.out.at(4) * (1 + 1e-6));
  });
}

TEST(OpHarness, ReportsAWriteBeyondTheEnd) {
  expect_reported("written outside its elements", [](Planted& p) {
    p.honest();
    p.data(p.sum)[15] = 0.0f;
  });
}

TEST(OpHarness, ReportsAWriteBetweenRows) {
  expect_reported("written outside its elements", [](Planted& p) {
    p.honest();
    p.data(p.out)[3] = 0.0f;
  });
}

TEST(OpHarness, ReportsAChangedInput) {
  expect_reported("an input was changed", [](Planted& p) {
    p.honest();
    p.in.set(2, 0.25);
  });
}

TEST(OpHarness, ReportsARerunThatDiffers) {
  int calls = 0;
  expect_reported("a rerun is not bit-equal", [&](Planted& p) {
    p.honest();
    if (++calls == 2) p.out.set(1, p.out.at(1) * (1 + 0x1p-23));
  });
}

TEST(OpHarness, ReportsAnOpThatWantsItsScratchFresh) {
  expect_reported("a rerun is not bit-equal", [](Planted& p) {
    p.honest();
    if (!std::isnan(p.scratch.at(0))) p.out.set(1, 0.0);
    p.scratch.set(0, 1.0);
  });
}

TEST(OpHarness, ReportsWritingWhatShouldBeAddedTo) {
  std::vector<double> start;
  expect_reported("(called twice) sum[0]: want", [&](Planted& p) {
    // Right once, by knowing the start, and wrong the second time.
    if (start.empty()) start = p.sum.values();
    p.honest();
    for (int64_t i = 0; i < 15; ++i) p.sum.set(i, start[static_cast<size_t>(i)] + p.in.at(i));
  });
}

TEST(Bounded, CoversAnFp32Evaluation) {
  Rng rng(3);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<Bounded> exact;
    float total = 0.0f;
    for (int i = 0; i < 300; ++i) {
      const float a = static_cast<float>(rng.uniform() - 0.5);
      const float b = static_cast<float>(rng.uniform() + 0.5);
      exact.push_back(exp(Bounded(a)) * Bounded(a) / Bounded(b));
      total += std::exp(a) * a / b;
    }
    const Bounded want = sum(exact);
    EXPECT_LE(std::abs(total - want.value), want.error);
    EXPECT_LT(want.error, 1e-2);
  }
}

}  // namespace
}  // namespace nibble
