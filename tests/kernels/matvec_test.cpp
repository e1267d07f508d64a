// SPDX-License-Identifier: Apache-2.0
// quantized_matvec and dense_matvec against sums in double, and the promise that a vector's result
// depends neither on the others in its batch nor on the number of threads.
#include <gtest/gtest.h>

#include <deque>

#include "base/threads.h"
#include "kernels/code_books.h"
#include "kernels/dequantize.h"
#include "support/bf16_dots.h"
#include "support/op_harness.h"
#include "support/random_quantized.h"
#include "support/simd_targets.h"

namespace nibble {
namespace {

struct Case {
  QuantType type;
  int64_t out, in, block;
  bool nested;
};
const Case kCases[] = {
    {QuantType::kNf4, 1, 1, 32, false},    {QuantType::kNf4, 5, 31, 32, true},
    {QuantType::kNf4, 6, 33, 32, false},   {QuantType::kNf4, 7, 64, 32, true},
    {QuantType::kFp4, 9, 96, 128, true},   {QuantType::kNf4, 5, 192, 64, true},
    {QuantType::kNf4, 3, 1055, 64, false}, {QuantType::kFp4, 40, 576, 64, true},
    {QuantType::kNf4, 4, 64, 4096, false}, {QuantType::kInt8, 7, 31, 0, false},
    {QuantType::kInt8, 5, 193, 0, false},  {QuantType::kNf4, 3, 1184, 32, true},
};
constexpr int64_t kVectors[] = {1, 2, 3, 4, 5, 16};

template <class Weight>
std::vector<Bounded> products(const Buffer& x, int64_t out, int64_t in, const Weight& weight) {
  const std::vector<double> values = x.values();
  const int64_t vectors = x.tensor().dim(0);
  std::vector<Bounded> want(size_t(vectors * out));
  std::vector<Bounded> row(static_cast<size_t>(in));
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t i = 0; i < in; ++i) row[size_t(i)] = weight(o, i);
    for (int64_t m = 0; m < vectors; ++m) {
      Sum<Bounded> all;
      for (int64_t i = 0; i < in; ++i)
        all.add(Bounded(values[size_t(m * in + i)]) * row[size_t(i)]);
      want[size_t(m * out + o)] = all.total();
    }
  }
  return want;
}

/// The element as the formula has it; its scale is rounded twice (nested) and the product once.
/// Where x and the code book are multiplied as bf16, the book is rounded to that.
Bounded element(const RandomMatrix& r, Dtype x, int64_t o, int64_t i) {
  const Bounded e = Bounded(r.element(o, i)).rounded().rounded();
  const bool rounded = x == Dtype::kBf16 && r.m.type != QuantType::kInt8 && loops_multiply_bf16();
  return {e.value,
          e.error + (rounded ? std::abs(e.value) * unit_roundoff(Dtype::kBf16) * 1.01 : 0)};
}

/// On every instruction set, and where bf16 can be multiplied in pairs, so and not.
template <class Body>
void on_every_dot(const Body& body) {
  on_every_target([&](const std::string& target) { on_every_bf16_dot([&] { body(target); }); });
}

TEST(QuantizedMatvec, EqualsSumsInDouble) {
  constexpr uint64_t kSeed = 11;
  on_every_dot([](const std::string& target) {
    for (const Case& c : kCases)
      for (const int64_t m : kVectors)
        for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
          const RandomMatrix r(c.type, c.out, c.in, c.block, c.nested, kSeed);
          OpCase op(cat("quantized_matvec ", target, " type ", static_cast<int>(c.type), " block ",
                        c.block, " ", dtype_name(dtype), " (", m, ",", c.out, ",", c.in, ")"),
                    kSeed);
          Buffer& x = op.input("x", dtype, {m, c.in}, 3);
          Buffer& out = op.output("out", dtype, {m, c.out}, 1);
          op.want(out, products(x, c.out, c.in,
                                [&](int64_t o, int64_t i) { return element(r, dtype, o, i); }));
          op.check([&] {
            quantized_matvec({.out = out.tensor(), .x = x.tensor(), .matrices = {&r.m, 1}});
          });
        }
  });
}

TEST(QuantizedMatvec, CodeBooksLieNearBf16) {
  const auto greatest_error = [](QuantType type, float scale) {
    double greatest = 0.0;
    for (const float entry : code_book(type)) {
      if (entry == 0.0f) continue;
      const float wanted = entry * scale;
      greatest = std::max(greatest, std::abs(to_float(to_bf16(wanted)) / double{wanted} - 1.0));
    }
    return greatest;
  };
  EXPECT_LT(greatest_error(QuantType::kNf4, bf16_book_scale(QuantType::kNf4)), 0.0016);
  EXPECT_GT(greatest_error(QuantType::kNf4, 1.0f), 0.003);
  EXPECT_LT(greatest_error(QuantType::kFp4, bf16_book_scale(QuantType::kFp4)), 1e-7);
}

TEST(QuantizedMatvec, MatricesOfAnyFormLieOneUnderAnother) {
  constexpr uint64_t kSeed = 13;
  constexpr int64_t kIn = 64;
  // Nested ones alone, four and more in a row, and plain ones in a row.
  const Case cases[] = {
      {QuantType::kNf4, 9, kIn, 64, true},   {QuantType::kFp4, 3, kIn, 32, false},
      {QuantType::kInt8, 5, kIn, 0, false},  {QuantType::kNf4, 1, kIn, 64, true},
      {QuantType::kNf4, 33, kIn, 32, false}, {QuantType::kFp4, 40, kIn, 64, false},
      {QuantType::kNf4, 2, kIn, 64, true},   {QuantType::kNf4, 67, kIn, 32, true},
      {QuantType::kFp4, 8, kIn, 64, true},   {QuantType::kNf4, 64, kIn, 64, true},
      {QuantType::kNf4, 35, kIn, 64, true},
  };
  std::deque<RandomMatrix> all;  // which point into themselves
  std::vector<QuantizedMatrix> matrices;
  int64_t outputs = 0;
  for (const Case& c : cases) {
    all.emplace_back(c.type, c.out, c.in, c.block, c.nested, kSeed + all.size());
    outputs += c.out;
  }
  for (const RandomMatrix& r : all) matrices.push_back(r.m);
  for (const int64_t m : {1, 3}) {
    OpCase op(cat("quantized_matvec of several (", m, ",", outputs, ",", kIn, ")"), kSeed);
    Buffer& x = op.input("x", Dtype::kBf16, {m, kIn}, 8);
    Buffer& out = op.output("out", Dtype::kF32, {m, outputs}, 1);
    op.want(out, products(x, outputs, kIn, [&](int64_t o, int64_t i) {
              size_t at = 0;
              for (; o >= cases[at].out; ++at) o -= cases[at].out;
              return element(all[at], Dtype::kBf16, o, i);
            }));
    op.check(
        [&] { quantized_matvec({.out = out.tensor(), .x = x.tensor(), .matrices = matrices}); });
  }
}

TEST(QuantizedMatvec, ManyOutputsEqualSumsInDouble) {
  constexpr uint64_t kSeed = 14;
  constexpr int64_t kOut = 4099, kIn = 64;
  const RandomMatrix r(QuantType::kNf4, kOut, kIn, 64, true, kSeed);
  for (const int64_t m : {3, 8}) {
    OpCase op(cat("quantized_matvec (", m, ",", kOut, ",", kIn, ")"), kSeed);
    Buffer& x = op.input("x", Dtype::kBf16, {m, kIn}, 8);
    Buffer& out = op.output("out", Dtype::kBf16, {m, kOut}, 1);
    op.want(out, products(x, kOut, kIn,
                          [&](int64_t o, int64_t i) { return element(r, Dtype::kBf16, o, i); }));
    op.check([&] {
      quantized_matvec({.out = out.tensor(), .x = x.tensor(), .matrices = {&r.m, 1}});
    });
  }
}

void expect_dense(const std::string& target, int64_t m, const Shape& s, Dtype dtype, Dtype weights,
                  int64_t x_gap, int64_t weight_gap) {
  constexpr uint64_t kSeed = 12;
  OpCase op(cat("dense_matvec ", target, " ", dtype_name(dtype), " x ", dtype_name(weights), " (",
                m, ",", s[0], ",", s[1], ") gaps ", x_gap, " ", weight_gap),
            kSeed);
  Buffer& x = op.input("x", dtype, {m, s[1]}, x_gap);
  Buffer& w = op.input("weight", weights, s, weight_gap);
  Buffer& out = op.output("out", dtype, {m, s[0]}, 1);
  op.want(out, products(x, s[0], s[1],
                        [&](int64_t o, int64_t i) { return Bounded(w.at(o * s[1] + i)); }));
  op.check([&] { dense_matvec({.out = out.tensor(), .x = x.tensor(), .weight = w.tensor()}); });
}

constexpr Dtype kWeightTypes[] = {Dtype::kF32, Dtype::kBf16, Dtype::kF16};

TEST(DenseMatvec, EqualsSumsInDouble) {
  const Shape shapes[] = {{1, 1}, {3, 7}, {2, 31}, {5, 64}, {33, 67}, {40, 576}, {523, 72}};
  on_every_dot([&](const std::string& target) {
    for (const Shape& s : shapes)
      for (const int64_t m : kVectors)
        for (const Dtype dtype : kFloatTypes)
          for (const Dtype weights : kWeightTypes) expect_dense(target, m, s, dtype, weights, 2, 1);
  });
}

// Of few outputs and of many; wider than the vectors' tile in shared memory.
TEST(DenseMatvec, RowsOfWholeUnitsEqualSumsInDouble) {
  for (const Shape& s : {Shape{5, 64}, Shape{40, 2120}, Shape{523, 72}, Shape{516, 1104}})
    for (const int64_t m : {1, 2, 5, 8})
      for (const Dtype dtype : kFloatTypes)
        for (const Dtype weights : kWeightTypes) {
          if (s[0] * s[1] > 80000 && (weights == Dtype::kF16 || m == 2 || m == 5)) continue;
          expect_dense("this target", m, s, dtype, weights, 8, 8);
          if (s[1] == 72) expect_dense("this target", m, s, dtype, weights, 1, 8);
        }
}

template <class T>
TestVector<T> random_values(int64_t count, uint64_t seed) {
  Rng rng(seed);
  TestVector<T> v(static_cast<size_t>(count));
  for (T& x : v) x = from_float<T>(static_cast<float>(rng.uniform() * 2 - 1));
  return v;
}

template <class T>
void expect_same_bits(const std::string& what, bool dense) {
  constexpr int64_t kOut = 301, kIn = 576, kM = 7;
  const RandomMatrix r(QuantType::kNf4, kOut, kIn, 64, true, 3);
  TestVector<T> x = random_values<T>(kM * kIn, 4), w = random_values<T>(kOut * kIn, 5);
  const auto run = [&](int64_t first, int64_t count, int team) {
    set_threads(team);
    TestVector<float> out(static_cast<size_t>(count * kOut));
    const Tensor to = test_view(out.data(), {count, kOut});
    const Tensor vectors = test_view(x.data() + first * kIn, {count, kIn});
    and_wait([&] {
      if (dense)
        dense_matvec({.out = to, .x = vectors, .weight = test_view(w.data(), {kOut, kIn})});
      else
        quantized_matvec({.out = to, .x = vectors, .matrices = {&r.m, 1}});
    });
    return out;
  };
  const TestVector<float> all = run(0, kM, 1);
  EXPECT_EQ(all, run(0, kM, 3)) << what;
  for (int64_t m = 0; m < kM; ++m)
    EXPECT_EQ(TestVector<float>(all.begin() + m * kOut, all.begin() + (m + 1) * kOut), run(m, 1, 2))
        << what << " vector " << m;
}

TEST(Matvec, AVectorsBitsDependOnNeitherItsBatchNorTheThreads) {
  const int before = threads();
  on_every_dot([&](const std::string& target) {
    for (const bool dense : {false, true}) {
      expect_same_bits<float>(cat(target, " f32, dense ", int{dense}), dense);
      expect_same_bits<bf16>(cat(target, " bf16, dense ", int{dense}), dense);
    }
  });
  set_threads(before);
}

TEST(Matvec, RefusesShapesThatDoNotMatch) {
  const RandomMatrix r(QuantType::kNf4, 4, 64, 64, false, 1);
  TestVector<float> memory(4 * 64);
  const auto shaped = [&](int64_t m, int64_t n) { return test_view(memory.data(), {m, n}); };
  EXPECT_THROW(quantized_matvec({.out = shaped(1, 4), .x = shaped(1, 63), .matrices = {&r.m, 1}}),
               BugError);
  EXPECT_THROW(quantized_matvec({.out = shaped(1, 5), .x = shaped(1, 64), .matrices = {&r.m, 1}}),
               BugError);
  EXPECT_THROW(quantized_matvec({.out = shaped(2, 4), .x = shaped(1, 64), .matrices = {&r.m, 1}}),
               BugError);
  EXPECT_THROW(dense_matvec({.out = shaped(1, 4), .x = shaped(1, 8), .weight = shaped(4, 7)}),
               BugError);
}

}  // namespace
}  // namespace nibble
