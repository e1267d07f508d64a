// SPDX-License-Identifier: Apache-2.0
#include "plot/ticks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace nibble {
namespace {

Extent extent(double low, double high) {
  Extent e;
  e.take(low);
  e.take(high);
  return e;
}

std::string labels(const Ruler& r) {
  std::string out;
  for (const Tick& t : r.ticks) out += (out.empty() ? "" : " ") + t.label;
  return out;
}

TEST(Ticks, RoundNumbers) {
  EXPECT_EQ(labels(make_ruler({}, extent(0, 1), 6)), "0.0 0.2 0.4 0.6 0.8 1.0");
  EXPECT_EQ(labels(make_ruler({}, extent(0.03, 0.97), 6)), "0.0 0.2 0.4 0.6 0.8 1.0");
  EXPECT_EQ(labels(make_ruler({}, extent(-3, 7), 5)), "-5 0 5 10");
  EXPECT_EQ(labels(make_ruler({.integer = true}, extent(1, 3), 9)), "1 2 3");
  EXPECT_EQ(labels(make_ruler({.from_zero = true}, extent(900, 1400), 4)), "0 500 1000 1500");
  EXPECT_EQ(labels(make_ruler({.integer = true}, extent(1, 200), 5, true)), "50 100 150 200");
}

TEST(Ticks, TightEndsWhereTheValuesEnd) {
  const Ruler tight = make_ruler({}, extent(1, 199), 5, true),
              wide = make_ruler({}, extent(1, 199), 5);
  EXPECT_EQ(tight.low, 1);
  EXPECT_EQ(tight.high, 199);
  EXPECT_EQ(wide.low, 0);
  EXPECT_EQ(wide.high, 200);
}

TEST(Ticks, UnitsAreInTheTitle) {
  const Ruler memory = make_ruler({.title = "memory", .unit = Unit::kBytes, .from_zero = true},
                                  extent(0, 3.0 * (1 << 30)), 4);
  EXPECT_EQ(memory.title, "memory (GiB)");
  EXPECT_EQ(labels(memory), "0 1 2 3");
  const Ruler rate = make_ruler({.title = "rate"}, extent(0, 2e-4), 5);
  EXPECT_EQ(rate.title, "rate (×1e-4)");
  EXPECT_EQ(labels(rate), "0.0 0.5 1.0 1.5 2.0");
  const Ruler many = make_ruler({.title = "step"}, extent(0, 40000), 5);
  EXPECT_EQ(many.title, "step (thousand)");
  EXPECT_EQ(labels(many), "0 10 20 30 40");
}

TEST(Ticks, LogarithmicWhereValuesSpread) {
  const Axis automatic = {.scale = Scale::kAuto};
  EXPECT_FALSE(make_ruler(automatic, extent(1, 19), 5).log);
  EXPECT_FALSE(make_ruler(automatic, extent(0, 1000), 5).log);
  EXPECT_FALSE(make_ruler(automatic, extent(-1, 1000), 5).log);
  const Ruler r = make_ruler(automatic, extent(0.004, 7), 5);
  EXPECT_TRUE(r.log);
  EXPECT_EQ(labels(r), "0.01 0.1 1 10");
  EXPECT_DOUBLE_EQ(r.low, 0.003);
  EXPECT_DOUBLE_EQ(r.high, 10);
  EXPECT_NEAR(r.share(0.003), 0, 1e-12);
  EXPECT_NEAR(r.share(std::sqrt(0.003 * 10)), 0.5, 1e-12);
  EXPECT_EQ(labels(make_ruler({.scale = Scale::kLog}, extent(1e-5, 1e-3), 5, true)),
            "1e-5 2e-5 5e-5 1e-4 2e-4 5e-4 0.001");
}

// Whatever the values: ticks in order and inside, at least one (two but on tight axes), a few more
// than wanted at most, no two labels the same.
TEST(Ticks, AnyExtent) {
  const double values[] = {0,     1,    -1,    3,      1e-9,  1e9,  -2.5e-7,  7e13,
                           1e-90, 1e90, 1e100, -1e100, 123.4, 1e15, 1.0000001};
  for (const double a : values)
    for (const double b : values)
      for (const Scale scale : {Scale::kLinear, Scale::kLog, Scale::kAuto})
        for (const int wanted : {2, 5, 12}) {
          const Axis axis = {.scale = scale};
          const Ruler r = make_ruler(axis, extent(std::min(a, b), std::max(a, b)), wanted);
          SCOPED_TRACE(testing::Message()
                       << a << " " << b << " " << int(scale) << " " << wanted << ": " << labels(r));
          ASSERT_LT(r.low, r.high);
          EXPECT_LE(r.low, std::min(a, b) + 1e-9 * (std::abs(a) + std::abs(b)));
          EXPECT_GE(r.high, std::max(a, b) - 1e-9 * (std::abs(a) + std::abs(b)));
          ASSERT_GE(r.ticks.size(), r.log ? 1U : 2U);
          EXPECT_LE(r.ticks.size(), static_cast<size_t>(r.log ? 3 * wanted + 8 : 2 * wanted + 3));
          for (size_t i = 0; i < r.ticks.size(); ++i) {
            EXPECT_GE(r.share(r.ticks[i].value), -1e-6);
            EXPECT_LE(r.share(r.ticks[i].value), 1 + 1e-6);
            if (i > 0) {
              EXPECT_GT(r.ticks[i].value, r.ticks[i - 1].value);
            }
          }
        }
}

TEST(Ticks, NothingButNotANumber) {
  Extent e;
  e.take(std::numeric_limits<double>::quiet_NaN());
  e.take(std::numeric_limits<double>::infinity());
  EXPECT_FALSE(e.any);
  EXPECT_EQ(labels(make_ruler({}, e, 2)), "0 1");
}

TEST(Ticks, ShortNumbers) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(2.345678), "2.35");
  EXPECT_EQ(short_number(0.0002), "0.0002");
  EXPECT_EQ(short_number(2e-5), "2e-5");
  EXPECT_EQ(short_number(1234), "1234");
  EXPECT_EQ(short_number(12345), "12.3k");
  EXPECT_EQ(short_number(7241732096), "7.24G");
  EXPECT_EQ(short_number(-1.5e6), "-1.5M");
  EXPECT_EQ(even_number(4.97, 5.416), "4.970");
  EXPECT_EQ(even_number(0.5, 12.3), "0.50");
  EXPECT_EQ(even_number(79000, 123456), "79.0k");
  EXPECT_EQ(even_number(1234, 5678), "1234");
  EXPECT_EQ(even_number(2e-5, 4e-5), "2e-5");
  EXPECT_EQ(short_bytes(0), "0 B");
  EXPECT_EQ(short_bytes(1536), "1.50 KiB");
  EXPECT_EQ(short_bytes(312.0 * (1 << 20)), "312 MiB");
  EXPECT_EQ(short_bytes(26.98 * (1 << 30)), "27.0 GiB");
}

}  // namespace
}  // namespace nibble
