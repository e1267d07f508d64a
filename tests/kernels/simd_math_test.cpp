// SPDX-License-Identifier: Apache-2.0
// The vectorised exp, reciprocal and sigmoid against double, in units in the last place.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd_math_test.cpp"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

template <class Function>
void map(const float* in, float* out, int64_t n, const Function& f) {
  for_vectors(n, [&](int64_t i, auto part) { store(f(load(in + i, part)), out + i, part); });
}
void map_exp(const float* in, float* out, int64_t n) {
  map(in, out, n, [](Vec x) { return exp(x); });
}
void map_reciprocal(const float* in, float* out, int64_t n) {
  map(in, out, n, [](Vec x) { return reciprocal(x); });
}
void map_sigmoid(const float* in, float* out, int64_t n) {
  map(in, out, n, [](Vec x) { return sigmoid(x); });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(map_exp);
HWY_EXPORT(map_reciprocal);
HWY_EXPORT(map_sigmoid);

using Map = void(const float*, float*, int64_t);

std::vector<float> apply(Map* map, const std::vector<float>& in) {
  std::vector<float> out(in.size());
  map(in.data(), out.data(), static_cast<int64_t>(in.size()));
  return out;
}

/// Every `step`-th float between two of the same sign.
std::vector<float> floats_between(float low, float high, uint32_t step) {
  std::vector<float> out;
  const auto a = std::bit_cast<uint32_t>(low), b = std::bit_cast<uint32_t>(high);
  for (uint32_t u = std::min(a, b); u <= std::max(a, b); u += step)
    out.push_back(std::bit_cast<float>(u));
  return out;
}

/// Holds every result to `limit` units in the last place of the exact one.
void expect_ulps(const char* name, const std::vector<float>& in, const std::vector<float>& out,
                 double (*exact)(double), double limit) {
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    const double want = exact(in[i]);
    const double ulp = std::ldexp(1.0, std::max(std::ilogb(want), -126) - 23);
    const double error = std::abs(out[i] - want) / ulp;
    if (!(error <= worst)) worst = error, at = i;
  }
  EXPECT_LE(worst, limit) << cat(name, " ", simd_target_name(), " of ", in[at], ": want ",
                                 exact(in[at]), " got ", out[at]);
}

double exact_exp(double x) {
  return std::exp(x);
}
double exact_reciprocal(double x) {
  return 1.0 / x;
}
double exact_sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

constexpr uint32_t kStep = 499;  // a prime: about 4 million floats over a whole sign

TEST(SimdMath, ExpIsWithinTwoUlp) {
  choose_simd_target();
  for (const auto& in :
       {floats_between(-0x1p-30f, -87.0f, kStep), floats_between(0x1p-30f, 88.0f, kStep)})
    expect_ulps("exp", in, apply(HWY_DYNAMIC_DISPATCH(map_exp), in), exact_exp, 2.0);
}

TEST(SimdMath, ExpAtItsEnds) {
  choose_simd_target();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float payload = std::bit_cast<float>(0x7f800001u), odd = std::bit_cast<float>(0xffffffffu);
  const std::vector<float> in = {0.0f,  -0.0f,     -105.0f,       -1e30f,  -kInfinity, 88.0f,
                                 89.0f, kInfinity, std::nanf(""), payload, odd};
  const auto out = apply(HWY_DYNAMIC_DISPATCH(map_exp), in);
  EXPECT_EQ(out[0], 1.0f);
  EXPECT_EQ(out[1], 1.0f);
  for (size_t i = 2; i < 5; ++i) EXPECT_EQ(out[i], 0.0f) << in[i];
  for (size_t i = 6; i < 8; ++i) EXPECT_EQ(out[i], out[5]) << in[i];
  EXPECT_GT(out[5], 1.6e38f);
  for (size_t i = 8; i < in.size(); ++i) EXPECT_TRUE(std::isnan(out[i])) << i;
}

TEST(SimdMath, ReciprocalIsWithinTwoUlp) {
  choose_simd_target();
  const auto in = floats_between(0x1p-60f, 0x1p60f, kStep);
  expect_ulps("reciprocal", in, apply(HWY_DYNAMIC_DISPATCH(map_reciprocal), in), exact_reciprocal,
              2.0);
}

// exp is within 2 ulp, 1 + e adds half, its reciprocal 2 and the product half again; an ulp of one
// factor may be two of the result.
TEST(SimdMath, SigmoidIsAccurateOnBothTails) {
  choose_simd_target();
  for (const auto& in :
       {floats_between(-0x1p-30f, -87.0f, kStep), floats_between(0x1p-30f, 200.0f, kStep)})
    expect_ulps("sigmoid", in, apply(HWY_DYNAMIC_DISPATCH(map_sigmoid), in), exact_sigmoid, 5.0);
  const auto ends = apply(HWY_DYNAMIC_DISPATCH(map_sigmoid),
                          {-std::numeric_limits<float>::infinity(), 0.0f,
                           std::numeric_limits<float>::infinity(), std::nanf("")});
  EXPECT_EQ(ends[0], 0.0f);
  EXPECT_EQ(ends[1], 0.5f);
  EXPECT_EQ(ends[2], 1.0f);
  EXPECT_TRUE(std::isnan(ends[3]));
}

}  // namespace
}  // namespace nibble
#endif  // HWY_ONCE
