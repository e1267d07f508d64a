// SPDX-License-Identifier: Apache-2.0
#include "kernels/elementwise.h"

#include <gtest/gtest.h>

#include <limits>

#include "support/test_vector.h"

namespace nibble {
namespace {

const std::vector<std::pair<int64_t, int64_t>> kShapes = {
    {1, 1},  {1, 3},  {3, 7},   {5, 8},   {2, 9},   {7, 15},   {3, 16},   {33, 17},
    {2, 31}, {4, 65}, {67, 61}, {70, 64}, {9, 576}, {2, 1023}, {1, 2049}, {31, 577},
};

/// f(shape, out type, in type, gap): gap 0 is dense, else rows are further apart.
template <class Call>
void for_cases(const Call& call) {
  for (const auto& [n, c] : kShapes)
    for (const Dtype a : kFloatTypes)
      for (const Dtype b : kFloatTypes)
        for (const int64_t gap : {0, 5}) call(Shape{n, c}, a, b, gap);
}

std::string label(const char* op, Dtype a, Dtype b, const Shape& shape, int64_t gap) {
  return cat(op, " ", dtype_name(a), " ", dtype_name(b), " ", shape_name(shape), " gap ", gap);
}

TEST(Cast, RoundsToNearestEven) {
  for (const auto& [n, c] : kShapes)
    for (const Dtype to : kFloatTypes)
      for (const Dtype from : {Dtype::kF32, Dtype::kBf16, Dtype::kF16})
        for (const int64_t gap : {0, 3}) {
          OpCase op(label("cast", to, from, {n, c}, gap), 61);
          Buffer& out = op.output("out", to, {n, c}, gap);
          Buffer& in = op.input("in", from, {n, c}, gap ? 1 : 0);
          std::vector<Bounded> want;
          for (const double x : in.values()) want.push_back(rounded_to(to, x));
          op.want(out, want);
          op.check([&] { cast({.out = out.tensor(), .in = in.tensor()}); });
          for (int64_t i = 0; i < out.size(); ++i)
            ASSERT_EQ(out.at(i), want[size_t(i)].value) << "a cast is exact, element " << i;
        }
}

/// Every bf16 and f16 bit pattern, and the floats around every rounding boundary of bf16.
TEST(Cast, TakesEveryBitPattern) {
  TestVector<uint16_t> halves(65536), back(65536);
  TestVector<float> wide(65536);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = uint16_t(i);
  const auto bf = [](TestVector<uint16_t>& v) {
    return make_tensor(v.data(), Dtype::kBf16, {256, 256}, test_device());
  };
  and_wait([&] { cast({.out = test_view(wide.data(), {256, 256}), .in = bf(halves)}); });
  for (size_t i = 0; i < halves.size(); ++i)
    ASSERT_EQ(std::bit_cast<uint32_t>(wide[i]), uint32_t(i) << 16);
  and_wait([&] { cast({.out = bf(back), .in = test_view(wide.data(), {256, 256})}); });
  // Of a NaN only that it is one: a GPU rounds all of them to the same.
  const auto expect_rounded = [&](size_t i) {
    if (std::isnan(wide[i]))
      ASSERT_TRUE(std::isnan(to_float(bf16{back[i]}))) << i;
    else
      ASSERT_EQ(back[i], to_bf16(wide[i]).bits) << std::hex << std::bit_cast<uint32_t>(wide[i]);
  };
  for (size_t i = 0; i < halves.size(); ++i) expect_rounded(i);

  and_wait([&] {
    cast({.out = test_view(wide.data(), {256, 256}),
          .in = make_tensor(halves.data(), Dtype::kF16, {256, 256}, test_device())});
  });
  for (size_t i = 0; i < halves.size(); ++i) {
    const float want = to_float(f16{halves[i]});
    if (std::isnan(want))
      ASSERT_TRUE(std::isnan(wide[i])) << i;
    else
      ASSERT_EQ(std::bit_cast<uint32_t>(wide[i]), std::bit_cast<uint32_t>(want)) << i;
  }

  for (const uint32_t low : {0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
    for (size_t i = 0; i < wide.size(); ++i)
      wide[i] = std::bit_cast<float>((uint32_t(i) << 16) | low);
    and_wait([&] { cast({.out = bf(back), .in = test_view(wide.data(), {256, 256})}); });
    for (size_t i = 0; i < halves.size(); ++i) expect_rounded(i);
  }
}

TEST(Cast, TakesAnyDenseShape) {
  OpCase op("cast (2,3,5,7)", 62);
  Buffer& out = op.output("out", Dtype::kBf16, {2, 3, 5, 7});
  Buffer& in = op.input("in", Dtype::kF32, {2, 3, 5, 7});
  const auto x = in.values();
  op.want(out, std::vector<Bounded>(x.begin(), x.end()));
  op.check([&] { cast({.out = out.tensor(), .in = in.tensor()}); });
}

TEST(Accumulate, ScalesAndAdds) {
  for_cases([](const Shape& shape, Dtype to, Dtype from, int64_t gap) {
    OpCase op(label("accumulate", to, from, shape, gap), 63);
    Buffer& out = op.in_place("out", to, shape, gap);
    Buffer& in = op.input("in", from, shape, gap / 2);
    const float alpha = 0.7f, beta = -1.3f;
    std::vector<Bounded> want;
    for (int64_t i = 0; i < out.size(); ++i)
      want.push_back(Bounded(out.at(i)) * Bounded(beta) + Bounded(in.at(i)) * Bounded(alpha));
    op.want(out, want);
    op.check([&] {
      accumulate({.out = out.tensor(), .in = in.tensor(), .alpha = alpha, .beta = beta});
    });
  });
}

TEST(Accumulate, TwiceAddsTwice) {
  for_cases([](const Shape& shape, Dtype to, Dtype from, int64_t gap) {
    OpCase op(label("accumulate", to, from, shape, gap), 64);
    Buffer& out = op.accumulated("out", to, shape, gap);
    Buffer& in = op.input("in", from, shape, gap);
    const auto x = in.values();
    op.want(out, std::vector<Bounded>(x.begin(), x.end()));
    op.check([&] { accumulate({.out = out.tensor(), .in = in.tensor()}); });
  });
}

TEST(Accumulate, WithBetaZeroOutIsNotRead) {
  for_cases([](const Shape& shape, Dtype to, Dtype from, int64_t gap) {
    OpCase op(label("accumulate beta 0", to, from, shape, gap), 65);
    Buffer& out = op.output("out", to, shape, gap);
    Buffer& in = op.input("in", from, shape);
    std::vector<Bounded> want;
    for (const double x : in.values()) want.push_back(Bounded(x) * Bounded(0.5));
    op.want(out, want);
    op.check(
        [&] { accumulate({.out = out.tensor(), .in = in.tensor(), .alpha = 0.5f, .beta = 0.0f}); });
  });
}

TEST(Bias, ForwardAddsToEveryRow) {
  for_cases([](const Shape& shape, Dtype data, Dtype type, int64_t gap) {
    OpCase op(label("bias_forward", data, type, shape, gap), 66);
    Buffer& inout = op.accumulated("inout", data, shape, gap);
    Buffer& bias = op.input("bias", type, {shape[1]});
    std::vector<Bounded> want;
    for (int64_t i = 0; i < inout.size(); ++i) want.push_back(bias.at(i % shape[1]));
    op.want(inout, want);
    op.check([&] { bias_forward({.inout = inout.tensor(), .bias = bias.tensor()}); });
  });
}

// bias_forward adds bias[o] to every row, so its gradient is the column sum itself: there is no
// curvature for central differences to find.
TEST(Bias, BackwardSumsColumns) {
  for_cases([](const Shape& shape, Dtype data, Dtype sums, int64_t gap) {
    if (sums != Dtype::kF32) return;  // the only type that gradients of a bias have
    OpCase op(label("bias_backward", data, Dtype::kF32, shape, gap), 67);
    Buffer& dbias = op.accumulated("dbias", Dtype::kF32, {shape[1]});
    Buffer& dout = op.input("dout", data, shape, gap);
    std::vector<Bounded> want;
    for (int64_t o = 0; o < shape[1]; ++o) {
      std::vector<Bounded> column;
      for (int64_t n = 0; n < shape[0]; ++n) column.push_back(dout.at(n * shape[1] + o));
      Bounded total = sum(column);
      // Blocks of 32 rows are added to what is there, which is below 1.
      total.error += double(shape[0] / 32 + 1) * Bounded::kU * 2.0;
      want.push_back(total);
    }
    op.want(dbias, want);
    op.check([&] { bias_backward({.dbias = dbias.tensor(), .dout = dout.tensor()}); });
  });
}

/// A counter whose low half overflows on the way, and far from zero in every field.
constexpr uint64_t kSeed = 0x0123456789abcdef, kStream = 0xfedcba9876543210,
                   kCounter = 0x00000007fffffffe;

uint32_t word(int64_t i) {
  return philox(kSeed, kStream, kCounter + uint64_t(i) / 4)[size_t(i % 4)];
}

TEST(Dropout, KeepsWhatTheGeneratorSays) {
  for (const auto& [n, c] : kShapes)
    for (const Dtype dtype : kFloatTypes)
      for (const auto& [p, gap] : {std::pair{0.0f, 0},
                                   {0.1f, 8},
                                   {0.75f, 5},
                                   {unit_float(word(0)), 0}}) {  // the last keeps element 0
        OpCase op(
            cat("dropout ", dtype_name(dtype), " ", shape_name({n, c}), " p ", p, " gap ", gap),
            68);
        // What is written is dense where what is read is not.
        Buffer& in = op.input("in", dtype, {n, c}, gap);
        Buffer& written = op.output("out", dtype, {n, c});
        Buffer& added = op.accumulated("out (added to)", dtype, {n, c}, gap);
        std::vector<Bounded> want;
        for (int64_t i = 0; i < in.size(); ++i)
          want.push_back(unit_float(word(i)) >= p
                             ? Bounded(in.at(i)) * (Bounded(1.0) / (Bounded(1.0) - Bounded(p)))
                             : Bounded(0.0));
        op.want(written, want);
        op.want(added, want);
        Dropout arguments{.p = p, .seed = kSeed, .stream = kStream, .counter = kCounter};
        op.check([&] {
          arguments.in = in.tensor();
          arguments.out = written.tensor();
          arguments.output = Dropout::Output::kWrite;
          dropout(arguments);
          arguments.out = added.tensor();
          arguments.output = Dropout::Output::kAdd;
          dropout(arguments);
        });
      }
}

TEST(Dropout, InPlaceDropsTheSame) {
  OpCase op("dropout in place BF16 (31,577)", 69);
  Buffer& inout = op.in_place("inout", Dtype::kBf16, {31, 577});
  std::vector<Bounded> want;
  int64_t kept = 0;
  for (int64_t i = 0; i < inout.size(); ++i) {
    const bool keep = unit_float(word(i)) >= 0.5f;
    kept += keep;
    want.push_back(keep ? 2.0 * inout.at(i) : 0.0);
  }
  op.want(inout, want);
  op.check([&] {
    dropout({.out = inout.tensor(),
             .in = inout.tensor(),
             .p = 0.5f,
             .seed = kSeed,
             .stream = kStream,
             .counter = kCounter});
  });
  // Of N fair draws, the kept ones are within 5 standard deviations (sqrt(N)/2) of N/2.
  const double n = double(inout.size());
  EXPECT_NEAR(double(kept), n / 2, 2.5 * std::sqrt(n));
}

TEST(Draw, NamesARangeOfCounters) {
  constexpr int64_t kN = 3, kC = 50, kDraw = 5;
  OpCase op("dropout and uniform_noise F32 (3,50) of a draw", 71);
  Buffer& in = op.input("in", Dtype::kF32, {kN, kC});
  Buffer& dropped = op.output("dropped", Dtype::kF32, {kN, kC});
  Buffer& noisy = op.accumulated("noisy", Dtype::kF32, {kN, kC});
  Buffer& scales = op.input("scales", Dtype::kF32, {kN});
  Buffer& draw = op.input("draw", Dtype::kI32, {1});
  draw.set(0, double(kDraw));
  std::vector<Bounded> want_dropped, want_noisy;
  for (int64_t i = 0; i < in.size(); ++i) {
    const auto words = philox(kSeed, kStream, (uint64_t{kDraw} << kDrawShift) + uint64_t(i) / 4);
    const double u = unit_float(words[size_t(i % 4)]);
    want_dropped.push_back(u >= 0.5 ? 2.0 * in.at(i) : 0.0);
    want_noisy.push_back(Bounded(scales.at(i / kC)) * Bounded(2.0 * u - 1.0));
  }
  op.want(dropped, want_dropped);
  op.want(noisy, want_noisy);
  op.check([&] {
    dropout({.out = dropped.tensor(),
             .in = in.tensor(),
             .p = 0.5f,
             .seed = kSeed,
             .stream = kStream,
             .draw = draw.tensor()});
    uniform_noise({.inout = noisy.tensor(),
                   .scales = scales.tensor(),
                   .seed = kSeed,
                   .stream = kStream,
                   .draw = draw.tensor()});
  });
}

TEST(UniformNoise, IsScaledByRow) {
  for (const auto& [n, c] : kShapes)
    for (const Dtype dtype : kFloatTypes) {
      OpCase op(cat("uniform_noise ", dtype_name(dtype), " ", shape_name({n, c})), 70);
      Buffer& inout = op.accumulated("inout", dtype, {n, c});
      Buffer& scales = op.input("scales", Dtype::kF32, {n});
      std::vector<Bounded> want;
      for (int64_t i = 0; i < inout.size(); ++i)
        want.push_back(Bounded(scales.at(i / c)) * Bounded(2.0 * unit_float(word(i)) - 1.0));
      op.want(inout, want);
      op.check([&] {
        uniform_noise({.inout = inout.tensor(),
                       .scales = scales.tensor(),
                       .seed = kSeed,
                       .stream = kStream,
                       .counter = kCounter});
      });
    }
}

TEST(ElementwiseEntry, RefusesWrongArguments) {
  OpCase op("elementwise", 71);
  const Tensor a = op.in_place("a", Dtype::kF32, {2, 4}).tensor();
  const Tensor b = op.input("b", Dtype::kF32, {2, 3}).tensor();
  const Tensor half = op.input("d", Dtype::kF16, {2, 4}).tensor();
  EXPECT_THROW(cast({.out = a, .in = b}), BugError);
  EXPECT_THROW(cast({.out = half, .in = a}), BugError);
  EXPECT_NO_THROW(cast({.out = a, .in = half}));
  EXPECT_THROW(accumulate({.out = a, .in = half}), BugError);
  EXPECT_THROW(bias_forward({.inout = a, .bias = b}), BugError);
  EXPECT_THROW(bias_backward({.dbias = a, .dout = a}), BugError);
  for (const float p : {-0.1f, 1.0f, std::numeric_limits<float>::quiet_NaN()})
    EXPECT_THROW(dropout({.out = a, .in = a, .p = p}), BugError) << p;
  EXPECT_THROW(uniform_noise({.inout = a, .scales = b}), BugError);
  Tensor cuda = a;
  cuda.device = {.kind = DeviceKind::kCuda};
  EXPECT_THROW(cast({.out = cuda, .in = cuda}, {.device = cuda.device}), UnavailableError);
  EXPECT_THROW(cast({.out = cuda, .in = cuda}), BugError);
}

}  // namespace
}  // namespace nibble
