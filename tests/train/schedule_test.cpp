// SPDX-License-Identifier: Apache-2.0
// The rates of transformers' get_*_schedule_with_warmup, computed by hand for ten steps.
#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace nibble {
namespace {

TEST(Schedule, WarmsUpFromZeroThenFalls) {
  const Schedule linear = make_schedule("linear", 2.0, "4steps", 10, 0.2, 0.0);
  // optimizer.step() number k uses lr_lambda(k-1): 0, 1/4, ..., then (10-i)/6.
  for (int64_t step = 1; step <= 10; ++step) {
    const double i = static_cast<double>(step - 1);
    EXPECT_DOUBLE_EQ(linear.rate(step), 2.0 * (i < 4 ? i / 4 : 1 - (i - 4) / 6)) << step;
  }
  const Schedule cosine = make_schedule("cosine", 2.0, "0.4", 10, 0.2, 0.0);
  for (int64_t step = 5; step <= 10; ++step) {
    const double p = static_cast<double>(step - 5) / 6;
    EXPECT_DOUBLE_EQ(cosine.rate(step), 1.0 + std::cos(std::numbers::pi * p)) << step;
  }
}

TEST(Schedule, ConstantAndWsd) {
  const Schedule constant = make_schedule("constant", 3.0, "0", 10, 0.2, 0.0);
  for (int64_t step = 1; step <= 10; ++step) EXPECT_EQ(constant.rate(step), 3.0);
  const Schedule wsd = make_schedule("wsd", 1.0, "0", 10, 0.5, 0.0);
  EXPECT_EQ(wsd.rate(1), 1.0);
  EXPECT_EQ(wsd.rate(6), 1.0);
  EXPECT_NEAR(wsd.rate(8), 0.6, 1e-12);
  EXPECT_NEAR(wsd.rate(10), 0.2, 1e-12);
}

TEST(Schedule, FloorIsWhereItEnds) {
  for (const char* form : {"linear", "cosine", "wsd"})
    EXPECT_NEAR(make_schedule(form, 1.0, "0", 10, 0.2, 0.05).rate(11), 0.05, 1e-12) << form;
}

TEST(Schedule, RefusesWhatItCannotRead) {
  EXPECT_THROW(make_schedule("step", 1, "0", 10, 0.2, 0), UsageError);
  for (const char* warmup : {"", "abc", "1.5", "-0.1", "10.5steps", "3step"})
    EXPECT_THROW(make_schedule("cosine", 1, warmup, 10, 0.2, 0), UsageError) << warmup;
}

}  // namespace
}  // namespace nibble
