// SPDX-License-Identifier: Apache-2.0
#include "kernels/matmul.h"

#include <gtest/gtest.h>

#include "base/threads.h"
#include "kernels/matmul_cpu.h"
#include "support/op_harness.h"

namespace nibble {
namespace {

struct Case {
  int64_t m, n, k;
  Dtype out = Dtype::kF32, a = Dtype::kF32, b = Dtype::kF32;
  Transpose at = Transpose::kNo, bt = Transpose::kNo;
  float alpha = 1.0f, beta = 0.0f;

  std::string name(const char* op) const {
    return cat(op, " ", dtype_name(out), " = ", alpha, " ", dtype_name(a),
               at == Transpose::kYes ? "^T " : " ", dtype_name(b),
               bt == Transpose::kYes ? "^T + " : " + ", beta, " out ", shape_name({m, n, k}));
  }
};

std::vector<Bounded> reference(const Case& c, const std::vector<double>& a,
                               const std::vector<double>& b, const std::vector<double>& out) {
  std::vector<Bounded> want;
  for (int64_t i = 0; i < c.m; ++i)
    for (int64_t j = 0; j < c.n; ++j) {
      Sum<Bounded> all;
      for (int64_t k = 0; k < c.k; ++k) {
        const int64_t left = c.at == Transpose::kYes ? k * c.m + i : i * c.k + k;
        const int64_t right = c.bt == Transpose::kYes ? j * c.k + k : k * c.n + j;
        all.add(Bounded(a[size_t(left)]) * Bounded(b[size_t(right)]));
      }
      Bounded y = Bounded(c.alpha) * all.total();
      if (c.beta != 0.0f) y = y + Bounded(c.beta) * Bounded(out[want.size()]);
      want.push_back(y);
    }
  return want;
}

Shape stored(Transpose transpose, int64_t rows, int64_t cols) {
  return transpose == Transpose::kYes ? Shape{cols, rows} : Shape{rows, cols};
}

/// One product by `call`, which is given scratch of the size that `elements` says.
void check(const Case& c, const char* name, const std::function<int64_t(const Matmul&)>& elements,
           const std::function<void(const Matmul&)>& call) {
  if (test_device().on_cuda() && (c.a != c.b || (c.a == Dtype::kF32 && c.out != Dtype::kF32)))
    return;  // see RefusesTwoTypesOnCuda
  OpCase op(c.name(name), 21);
  Buffer& a = op.input("a", c.a, stored(c.at, c.m, c.k), 3);
  Buffer& b = op.input("b", c.b, stored(c.bt, c.k, c.n), 1);
  Buffer& out = c.beta == 0.0f ? op.output("out", c.out, {c.m, c.n}, 5)
                               : op.in_place("out", c.out, {c.m, c.n}, 5);
  op.want(out, reference(c, a.values(), b.values(), out.values()));
  Matmul matmul_op{.out = out.tensor(),
                   .a = a.tensor(),
                   .b = b.tensor(),
                   .a_transpose = c.at,
                   .b_transpose = c.bt,
                   .alpha = c.alpha,
                   .beta = c.beta};
  const int64_t scratch = elements(matmul_op);
  if (scratch > 0) matmul_op.scratch = op.scratch(Dtype::kF32, {scratch}).tensor();
  op.check([&] {
    matmul_op.out = out.tensor();
    matmul_op.a = a.tensor();
    matmul_op.b = b.tensor();
    call(matmul_op);
  });
}
void check(const Case& c) {
  check(c, "matmul", matmul_scratch_elements, [](const Matmul& op) { matmul(op); });
}

constexpr Transpose kTransposes[] = {Transpose::kNo, Transpose::kYes};

/// Every combination of types, transposes and scaling of one shape.
std::vector<Case> variants(int64_t m, int64_t n, int64_t k) {
  std::vector<Case> out;
  for (const Dtype to : kFloatTypes)
    for (const Dtype a : kFloatTypes)
      for (const Dtype b : kFloatTypes)
        for (const Transpose at : kTransposes)
          for (const Transpose bt : kTransposes)
            for (const auto& [alpha, beta] : {std::pair{1.0f, 0.0f}, {0.5f, 1.0f}, {-2.0f, 0.3f}})
              out.push_back({m, n, k, to, a, b, at, bt, alpha, beta});
  return out;
}

class MatmulShapes : public testing::TestWithParam<std::array<int64_t, 3>> {};

TEST_P(MatmulShapes, EqualsReference) {
  const auto [m, n, k] = GetParam();
  const std::vector<Case> cases = variants(m, n, k);
  on_every_dot([&] {
    for (const Case& c : cases) check(c);
  });
}

INSTANTIATE_TEST_SUITE_P(Small, MatmulShapes,
                         testing::ValuesIn(std::vector<std::array<int64_t, 3>>{{1, 1, 1},
                                                                               {1, 7, 3},
                                                                               {5, 1, 9},
                                                                               {2, 3, 1},
                                                                               {7, 5, 11},
                                                                               {12, 32, 16},
                                                                               {13, 33, 17},
                                                                               {11, 31, 15},
                                                                               {16, 16, 8},
                                                                               {3, 67, 5},
                                                                               {65, 3, 7},
                                                                               {24, 48, 4},
                                                                               {25, 15, 31},
                                                                               {29, 65, 13},
                                                                               {1, 97, 61},
                                                                               {97, 1, 61},
                                                                               {61, 64, 1},
                                                                               {49, 47, 23}}));

/// Shapes of several blocks in each direction; types and transposes that take different paths.
TEST(Matmul, Blocks) {
  const Transpose no = Transpose::kNo, yes = Transpose::kYes;
  const Dtype f = Dtype::kF32, h = Dtype::kBf16;
  const std::vector<Case> cases = {
      {401, 37, 1031, h, h, h, no, yes},
      {401, 37, 1031, f, f, h, no, yes},
      {401, 37, 1031, h, f, f, yes, no},
      {16, 193, 2053, f, h, h, yes, no},
      {16, 193, 2053, h, h, h, yes, no},
      {3, 331, 1025, h, h, h, no, yes, 0.5f, 1.0f},
      {3, 331, 1025, f, f, f, yes, yes},
      {193, 16, 2053, f, h, h, yes, no, 2.0f, 1.0f},
      {193, 16, 2054, f, h, h, yes, no, 2.0f, 1.0f},
      {331, 20, 514, h, h, h, yes, no},
      {13, 65, 300, f, h, h, yes, no},
      {24, 65, 300, h, f, h, yes, no},
      {450, 16, 400, h, h, h, no, yes},
      {450, 31, 400, f, h, f, no, no, 1.0f, 1.0f},
      {70, 600, 600, h, h, h, no, yes},
      {70, 600, 600, f, h, f, no, no, 1.0f, 1.0f},
      {37, 70, 1536, h, h, h, no, no},
      {37, 70, 1536, f, h, h, yes, yes, 1.0f, 1.0f},
  };
  on_every_dot([&] {
    for (const Case& c : cases) check(c);
  });
}

/// The grid of parts differs with the number of threads, the bits do not.
TEST(Matmul, AnyNumberOfThreads) {
  SKIP_UNLESS_CPU();
  struct Restore {
    ~Restore() { set_threads(0); }
  } restore;
  for (const Case& c :
       {Case{190, 515, 67, Dtype::kBf16, Dtype::kBf16, Dtype::kBf16},
        Case{190, 70, 2100, Dtype::kBf16, Dtype::kBf16, Dtype::kBf16},
        Case{190, 16, 1100, Dtype::kBf16, Dtype::kF32, Dtype::kBf16},
        Case{16, 515, 1100, Dtype::kF32, Dtype::kBf16, Dtype::kBf16, Transpose::kYes}}) {
    on_every_dot([&] {
      std::vector<double> first;
      for (const int count : {1, 2, 3, 7}) {
        set_threads(count);
        Rng rng(22);
        Buffer a("a", Role::kInput, c.a, stored(c.at, c.m, c.k));
        Buffer b("b", Role::kInput, c.b, {c.k, c.n});
        Buffer out("out", Role::kOutput, c.out, {c.m, c.n});
        a.fill_uniform(rng, -1, 1);
        b.fill_uniform(rng, -1, 1);
        Matmul op{.out = out.tensor(), .a = a.tensor(), .b = b.tensor(), .a_transpose = c.at};
        Buffer scratch("scratch", Role::kScratch, Dtype::kF32, {matmul_scratch_elements(op) + 1});
        op.scratch = scratch.tensor();
        matmul(op);
        if (first.empty()) first = out.values();
        EXPECT_TRUE(out.values() == first) << c.name("matmul cpu") << " on " << count << " threads";
      }
    });
  }
}

/// Scratch made for a product serves every smaller one, however that is cut.
TEST(Matmul, ScratchServesSmallerProducts) {
  struct Restore {
    ~Restore() { set_threads(0); }
  } restore;
  Rng rng(24);
  const auto size = [&](int64_t most) { return 1 + static_cast<int64_t>(rng.below(size_t(most))); };
  const auto scratch = [](const Case& c, auto elements) {
    const auto shape = [](Dtype type, const Shape& s) {
      return make_tensor(nullptr, type, {s[0], s[1]});
    };
    return elements(Matmul{.out = shape(c.out, {c.m, c.n}),
                           .a = shape(c.a, stored(c.at, c.m, c.k)),
                           .b = shape(c.b, stored(c.bt, c.k, c.n)),
                           .a_transpose = c.at,
                           .b_transpose = c.bt});
  };
  for (int i = 0; i < 20000; ++i) {
    set_threads(1 + i % 8);
    const int64_t most = int64_t{1} << (4 + i % 10);
    Case c{size(most), size(most), size(most)};
    for (Dtype* type : {&c.out, &c.a, &c.b}) *type = kFloatTypes[rng.below(2)];
    c.at = kTransposes[rng.below(2)];
    c.bt = kTransposes[rng.below(2)];
    const int64_t room = scratch(c, cpu::tiled_scratch_bound);
    EXPECT_GE(room, scratch(c, cpu::tiled_scratch_elements)) << c.name("matmul");
    Case smaller = c;
    smaller.m = size(c.m);
    smaller.n = size(c.n);
    smaller.k = size(c.k);
    EXPECT_GE(room, scratch(smaller, cpu::tiled_scratch_elements))
        << smaller.name("matmul") << " in scratch for " << c.name("matmul");
  }
}

TEST(Matmul, RefusesTwoTypesOnCuda) {
  if (!test_device().on_cuda()) GTEST_SKIP() << "the CPU half multiplies any types";
  OpCase op("matmul", 25);
  const Tensor a = op.input("a", Dtype::kF32, {2, 2}).tensor();
  const Tensor b = op.input("b", Dtype::kBf16, {2, 2}).tensor();
  const Tensor out = op.output("out", Dtype::kF32, {2, 2}).tensor();
  const Tensor half = op.output("out", Dtype::kBf16, {2, 2}).tensor();
  EXPECT_THROW(matmul({.out = out, .a = a, .b = b}), BugError);
  EXPECT_THROW(matmul({.out = half, .a = a, .b = a}), BugError);
}

TEST(Matmul, EmptyDimensions) {
  check({0, 3, 2});
  check({3, 0, 2});
  check({3, 2, 0});
  check({.m = 3, .n = 2, .k = 0, .out = Dtype::kBf16, .beta = 0.5f});
}

/// What processors with AMX run; elsewhere oneDNN emulates it, slowly but alike.
TEST(MatmulOneDnn, EqualsReference) {
  SKIP_UNLESS_CPU();
  constexpr Dtype kHalf = Dtype::kBf16;
  int run = 0;
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{1, 1, 1},
                                {7, 5, 11},
                                {33, 16, 64},
                                {16, 97, 130},
                                {1, 64, 61},
                                {65, 1, 7}})
    for (const Dtype out : kFloatTypes)
      for (const Transpose at : kTransposes)
        for (const Transpose bt : kTransposes)
          for (const auto& [alpha, beta] : {std::pair{1.0f, 0.0f}, {0.5f, 1.0f}, {-2.0f, 0.3f}}) {
            const Case c{m, n, k, out, kHalf, kHalf, at, bt, alpha, beta};
            bool supported = true;
            check(
                c, "matmul oneDNN",
                [&](const Matmul& op) {
                  supported = cpu::onednn_supports(op);
                  return supported ? cpu::onednn_scratch_elements(op)
                                   : cpu::tiled_scratch_elements(op);
                },
                [&](const Matmul& op) {
                  supported ? cpu::matmul_onednn(op) : cpu::matmul_tiled(op);
                });
            run += supported;
          }
  if (run == 0) GTEST_SKIP() << "oneDNN has no bf16 products on this processor";
}

TEST(MatmulEntry, RefusesWrongArguments) {
  OpCase op("matmul", 23);
  const Tensor a = op.input("a", Dtype::kF32, {3, 4}).tensor();
  const Tensor b = op.input("b", Dtype::kF32, {4, 5}).tensor();
  const Tensor out = op.output("out", Dtype::kF32, {3, 5}).tensor();
  Matmul good{.out = out, .a = a, .b = b};
  good.scratch = op.scratch(Dtype::kF32, {matmul_scratch_elements(good)}).tensor();
  const auto refused = [&](auto change) {
    Matmul bad = good;
    change(bad);
    EXPECT_THROW(matmul(bad), BugError);
  };
  EXPECT_NO_THROW(matmul(good));
  refused([&](auto& bad) { bad.b = a; });
  refused([&](auto& bad) { bad.out = a; });
  refused([&](auto& bad) { bad.a_transpose = Transpose::kYes; });
  refused([&](auto& bad) { bad.b_transpose = Transpose::kYes; });
  refused([&](auto& bad) { bad.a.dtype = Dtype::kF16; });
  refused([&](auto& bad) { bad.a.data = nullptr; });
  refused([&](auto& bad) { bad.scratch = {}; });
  refused([&](auto& bad) { bad.scratch.shape[0] = cpu::tiled_scratch_elements(bad) - 1; });
  refused([&](auto& bad) { bad.out.row_stride = 4; });
}

TEST(MatmulEntry, CudaIsNeverTheCpu) {
  OpCase op("matmul", 24);
  const Device cuda{.kind = DeviceKind::kCuda};
  Tensor a = op.input("a", Dtype::kF32, {3, 0}).tensor();
  Tensor b = op.input("b", Dtype::kF32, {0, 5}).tensor();
  Tensor out = op.output("out", Dtype::kF32, {3, 5}).tensor();
  a.device = b.device = out.device = cuda;
  EXPECT_THROW(matmul({.out = out, .a = a, .b = b}, {.device = cuda}), UnavailableError);
  EXPECT_THROW(matmul({.out = out, .a = a, .b = b}), BugError);  // tensors and stream disagree
}

}  // namespace
}  // namespace nibble
