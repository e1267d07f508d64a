// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <numeric>
#include <optional>

#include "base/threads.h"
#include "support/bf16_dots.h"
#include "support/op_harness.h"

namespace nibble {
namespace {

struct Case {
  std::vector<int64_t> lengths;
  int64_t heads, kv_heads, dim, window = 0;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> parents = {};
  int64_t gap = 0;  // between rows of out and dqkv

  int64_t n() const {
    int64_t total = 0;
    for (const int64_t length : lengths) total += length;
    return total;
  }
  int64_t width() const { return (heads + 2 * kv_heads) * dim; }
  int64_t longest() const { return *std::max_element(lengths.begin(), lengths.end()); }
  AttentionShape shape() const {
    return {heads, kv_heads, dim, window, 1.0f / std::sqrt(static_cast<float>(dim))};
  }
  std::string name(const char* op) const {
    return cat(op, " ", dtype_name(dtype), " lengths ", shape_name(lengths), " H ", heads, " K ",
               kv_heads, " D ", dim, " window ", window, parents.empty() ? "" : " tree", " gap ",
               gap);
  }
};

/// What a run may ask for: those that wgmma takes are the BF16_D64 and the BF16_D128.
std::string test_name(const testing::TestParamInfo<Case>& test) {
  return cat("n", test.index, "_", dtype_name(test.param.dtype), "_D", test.param.dim, "_");
}

/// Where head `h` of row `row` begins in a fused row: q, k or v of the group.
struct Places {
  const Case& c;
  size_t q(int64_t row, int64_t h) const { return size_t(row * c.width() + h * c.dim); }
  size_t k(int64_t row, int64_t h) const {
    return size_t(row * c.width() + (c.heads + h / (c.heads / c.kv_heads)) * c.dim);
  }
  size_t v(int64_t row, int64_t h) const { return k(row, h) + size_t(c.kv_heads * c.dim); }
  size_t out(int64_t row, int64_t h) const { return size_t((row * c.heads + h) * c.dim); }
};

template <class Real>
Real dot(const Real* a, const Real* b, int64_t n) {
  Sum<Real> all;
  for (int64_t i = 0; i < n; ++i) all.add(a[i] * b[i]);
  return all.total();
}

/// body(row i, the rows that it sees, in order) for every row of the pack.
template <class Body>
void for_rows(const Case& c, const Body& body) {
  std::vector<std::vector<int64_t>> paths;  // of every sequence, the rows up to its end
  int64_t row = 0;
  for (size_t s = 0; s < c.lengths.size(); ++s) {
    const int64_t parent = c.parents.empty() ? -1 : c.parents[s];
    std::vector<int64_t> path = parent < 0 ? std::vector<int64_t>() : paths[size_t(parent)];
    for (int64_t i = 0; i < c.lengths[s]; ++i) {
      path.push_back(row);
      const auto seen = c.window > 0 ? std::min(int64_t(path.size()), c.window) : path.size();
      body(row++, std::vector<int64_t>(path.end() - int64_t(seen), path.end()));
    }
    paths.push_back(std::move(path));
  }
}

template <class Real>
std::vector<Real> scores_of(const Case& c, const std::vector<Real>& qkv, int64_t i,
                            const std::vector<int64_t>& seen, int64_t h) {
  std::vector<Real> q, scores;
  for (int64_t e = 0; e < c.dim; ++e)
    q.push_back(Real(double(c.shape().scale)) * qkv[Places{c}.q(i, h) + size_t(e)]);
  for (const int64_t j : seen) scores.push_back(dot(q.data(), &qkv[Places{c}.k(j, h)], c.dim));
  return scores;
}

/// A row's running maximum may move with every tile of at least 128 keys. What was gathered is then
/// multiplied by an exp (2 ulp) of a rounded difference of at most 8 here.
Bounded rescaled(Bounded x, size_t keys) {
  return x.rounded(double((keys + 127) / 128) * 0.5 * (4 + 8 + 1));
}
double rescaled(double x, size_t) {
  return x;
}

/// Products of bf16 take weights and slopes rounded to it: on tensor cores, and where the processor
/// multiplies bf16.
bool rounds_factors(const Case& c) {
  return c.dtype == Dtype::kBf16 && (test_device().on_cuda() || loops_multiply_bf16());
}
Bounded as_factor(const Case& c, Bounded x) {
  if (!rounds_factors(c)) return x;
  const double u = unit_roundoff(Dtype::kBf16);
  return {x.value, x.error + u * (std::abs(x.value) + x.error)};
}
double as_factor(const Case&, double x) {
  return x;
}

template <class Real>
struct Forward {
  std::vector<Real> out, lse;
};

/// Adds row i, which sees the rows `seen`, to `y`.
template <class Real>
void forward_row(const Case& c, const std::vector<Real>& qkv, int64_t i,
                 const std::vector<int64_t>& seen, Forward<Real>& y) {
  using std::exp, std::log;
  for (int64_t h = 0; h < c.heads; ++h) {
    std::vector<Real> p = scores_of(c, qkv, i, seen, h);
    Real max = p[0];
    for (const Real& s : p)
      if (value_of(s) > value_of(max)) max = s;
    // The shift is whatever number the kernel found; it cancels but for its rounding.
    const Real shift(value_of(max));
    for (Real& s : p) s = rescaled(exp(s - shift), p.size());
    const Real total = sum(p);
    y.lse.push_back(shift + log(total));
    std::vector<Sum<Real>> sums(static_cast<size_t>(c.dim));
    for (size_t j = 0; j < p.size(); ++j) {
      const Real weight = as_factor(c, p[j]);
      for (size_t e = 0; e < sums.size(); ++e)
        sums[e].add(weight * qkv[Places{c}.v(seen[j], h) + e]);
    }
    for (const Sum<Real>& s : sums) y.out.push_back(s.total() / total);
  }
}

template <class Real>
Forward<Real> forward_reference(const Case& c, const std::vector<double>& qkv_values) {
  const std::vector<Real> qkv(qkv_values.begin(), qkv_values.end());
  Forward<Real> y;
  for_rows(c,
           [&](int64_t i, const std::vector<int64_t>& seen) { forward_row(c, qkv, i, seen, y); });
  return y;
}

template <class Real>
std::vector<Real> backward_reference(const Case& c, const std::vector<double>& qkv_values,
                                     const std::vector<double>& dout_values,
                                     const std::vector<Real>& out, const std::vector<Real>& lse) {
  using std::exp;
  const Places at{c};
  const std::vector<Real> qkv(qkv_values.begin(), qkv_values.end());
  const std::vector<Real> dout(dout_values.begin(), dout_values.end());
  std::vector<Sum<Real>> sums(qkv.size());
  const Real scale(double(c.shape().scale));
  for_rows(c, [&](int64_t i, const std::vector<int64_t>& seen) {
    for (int64_t h = 0; h < c.heads; ++h) {
      const std::vector<Real> scores = scores_of(c, qkv, i, seen, h);
      const Real delta = dot(&dout[at.out(i, h)], &out[at.out(i, h)], c.dim);
      for (size_t s = 0; s < seen.size(); ++s) {
        const int64_t j = seen[s];
        const Real p = exp(scores[s] - lse[size_t(i * c.heads + h)]);
        const Real dp = dot(&dout[at.out(i, h)], &qkv[at.v(j, h)], c.dim);
        const Real ds = as_factor(c, p * (dp - delta)), weight = as_factor(c, p);
        for (size_t e = 0; e < size_t(c.dim); ++e) {
          sums[at.q(i, h) + e].add(scale * ds * qkv[at.k(j, h) + e]);
          sums[at.k(j, h) + e].add(ds * (scale * qkv[at.q(i, h) + e]));
          sums[at.v(j, h) + e].add(weight * dout[at.out(i, h) + e]);
        }
      }
    }
  });
  std::vector<Real> dqkv;
  for (const Sum<Real>& s : sums) dqkv.push_back(s.total());
  return dqkv;
}

std::vector<double> starts_of(const Case& c) {
  std::vector<double> starts = {0};
  for (const int64_t length : c.lengths) starts.push_back(starts.back() + double(length));
  return starts;
}

std::vector<Bounded> exact(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

/// What is wanted of a case. Its inputs are drawn from a seed, so neither the number of threads nor
/// the way to multiply bf16 makes it another, but for as_factor.
template <class T>
class Wanted {
 public:
  explicit Wanted(const Case& c) : c_(c) {}
  template <class Reference>
  const T& of(const Reference& reference) {
    std::optional<T>& made = made_[rounds_factors(c_)];
    if (!made) made = reference();
    return *made;
  }

 private:
  const Case& c_;
  std::optional<T> made_[2];
};

void check_forward(const Case& c, Wanted<Forward<Bounded>>& wanted) {
  OpCase op(c.name("attention_forward"), 31);
  Buffer& qkv = op.input("qkv", c.dtype, {c.n(), c.width()});
  Buffer& starts = op.input("starts", Dtype::kI32, {int64_t(c.lengths.size()) + 1});
  Buffer& out = op.output("out", c.dtype, {c.n(), c.heads * c.dim}, c.gap);
  Buffer& lse = op.output("lse", Dtype::kF32, {c.n(), c.heads});
  Buffer& scratch = op.scratch(Dtype::kF32, {attention_forward_scratch(c.shape(), c.longest())});
  starts.set_values(starts_of(c));
  Buffer* parents = nullptr;
  if (!c.parents.empty()) {
    parents = &op.input("parents", Dtype::kI32, {int64_t(c.parents.size())});
    parents->set_values({c.parents.begin(), c.parents.end()});
  }
  const Forward<Bounded>& want =
      wanted.of([&] { return forward_reference<Bounded>(c, qkv.values()); });
  op.want(out, want.out);
  op.want(lse, want.lse);
  op.check([&] {
    attention_forward({.out = out.tensor(),
                       .lse = lse.tensor(),
                       .qkv = qkv.tensor(),
                       .starts = starts.tensor(),
                       .parents = parents ? parents->tensor() : Tensor(),
                       .shape = c.shape(),
                       .scratch = scratch.tensor()});
  });
}

struct Backward {
  Forward<double> forward;
  std::vector<Bounded> dqkv;
};

void check_backward(const Case& c, Wanted<Backward>& wanted) {
  OpCase op(c.name("attention_backward") + cat(" on ", threads(), " threads"), 32);
  Buffer& qkv = op.input("qkv", c.dtype, {c.n(), c.width()});
  Buffer& starts = op.input("starts", Dtype::kI32, {int64_t(c.lengths.size()) + 1});
  Buffer& dout = op.input("dout", c.dtype, {c.n(), c.heads * c.dim});
  Buffer& out = op.input("out", c.dtype, {c.n(), c.heads * c.dim}, c.gap);
  Buffer& lse = op.input("lse", Dtype::kF32, {c.n(), c.heads});
  Buffer& dqkv = op.output("dqkv", c.dtype, {c.n(), c.width()}, c.gap);
  Buffer& scratch =
      op.scratch(Dtype::kF32, {attention_backward_scratch(c.shape(), c.n(), c.longest())});
  starts.set_values(starts_of(c));
  const Backward& want = wanted.of([&] {
    Backward made{.forward = forward_reference<double>(c, qkv.values()), .dqkv = {}};
    out.set_values(made.forward.out);
    lse.set_values(made.forward.lse);
    made.dqkv = backward_reference<Bounded>(c, qkv.values(), dout.values(), exact(out.values()),
                                            exact(lse.values()));
    return made;
  });
  out.set_values(want.forward.out);
  lse.set_values(want.forward.lse);
  op.want(dqkv, want.dqkv);
  op.check([&] {
    attention_backward({.dqkv = dqkv.tensor(),
                        .dout = dout.tensor(),
                        .out = out.tensor(),
                        .qkv = qkv.tensor(),
                        .lse = lse.tensor(),
                        .starts = starts.tensor(),
                        .shape = c.shape(),
                        .scratch = scratch.tensor()});
  });
}

std::vector<Case> cases() {
  const std::vector<Case> shapes = {
      {{1}, 1, 1, 1},
      {{1, 1, 1}, 2, 1, 3},
      {{7}, 3, 1, 16},
      {{4, 0, 3}, 2, 2, 5},
      {{5, 1, 12, 2}, 4, 2, 80},
      {{33}, 6, 2, 96, 5},
      {{13, 17, 1, 64, 65}, 2, 1, 31},
      {{130, 3}, 3, 3, 64},
      {{40, 29}, 16, 1, 8, 1},
      {{61, 90}, 2, 1, 128, 40},
      {{201}, 3, 1, 64, 70},
      {{137}, 1, 1, 256},
      {{64}, 1, 1, 64},
      {{192}, 2, 1, 64},
      {{140}, 1, 1, 64, 127},
      {{20}, 2, 1, 200},
  };
  std::vector<Case> out;
  for (Case c : shapes)
    for (const Dtype dtype : kFloatTypes) {
      c.dtype = dtype;
      out.push_back(c);
    }
  // Many heads of a key/value head, and more tiles than there are buffers.
  out.push_back({{260}, 4, 1, 128, 0, Dtype::kBf16});
  // Rows inside wider ones, which 16-byte accesses can read and which they cannot.
  for (const Case& dense : std::vector<Case>(out)) {
    if (dense.n() > 64) continue;
    for (const int64_t gap : {8, 5}) {
      out.push_back(dense);
      out.back().gap = gap;
    }
  }
  return out;
}

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name("");
}

class Attention : public testing::TestWithParam<Case> {
 protected:
  void TearDown() override { set_threads(0); }
};

TEST_P(Attention, Forward) {
  Wanted<Forward<Bounded>> wanted(GetParam());
  on_every_dot([&] { check_forward(GetParam(), wanted); });
}

/// The threads that a test is run with: a device asks for none.
std::vector<int> thread_counts() {
  return test_device().on_cuda() ? std::vector{1} : std::vector{1, 3};
}

/// The number of threads decides how sums over queries are cut.
TEST_P(Attention, Backward) {
  Wanted<Backward> wanted(GetParam());
  for (const int count : thread_counts()) {
    set_threads(count);
    on_every_dot([&] { check_backward(GetParam(), wanted); });
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Attention, testing::ValuesIn(cases()), test_name);

class AttentionForwardOf : public testing::TestWithParam<Case> {};

TEST_P(AttentionForwardOf, ManyKeys) {
  Wanted<Forward<Bounded>> wanted(GetParam());
  on_every_dot([&] { check_forward(GetParam(), wanted); });
}

INSTANTIATE_TEST_SUITE_P(SeveralKeyTiles, AttentionForwardOf,
                         testing::Values(Case{{601}, 2, 1, 24},
                                         Case{{290}, 1, 1, 256, 0, Dtype::kBf16},
                                         Case{{601}, 1, 1, 64, 530, Dtype::kBf16}),
                         test_name);

// Sequences that begin alike: a stem, branches of it, and branches of those.
std::vector<Case> trees() {
  std::vector<Case> out;
  for (const Dtype dtype : kFloatTypes)
    for (const int64_t window : {0, 1, 20, 61}) {
      out.push_back({{1, 1, 1}, 2, 1, 3, window, dtype, {-1, 0, 1}});
      out.push_back({{50, 3, 70, 1, 9, 12}, 6, 2, 64, window, dtype, {-1, 0, 0, 2, 1, -1}});
      out.push_back({{33, 129, 0, 2}, 1, 1, 31, window, dtype, {-1, 0, 0, 2}});
      out.push_back({{9, 60, 0, 3}, 1, 1, 16, window, dtype, {-1, 0, 0, 2}});
    }
  out.push_back({{601, 40, 7}, 2, 1, 24, 0, Dtype::kF32, {-1, 0, 1}});
  out.push_back({{70, 200, 9, 8}, 2, 1, 128, 0, Dtype::kBf16, {-1, -1, 0, 0}});  // a gap of tiles
  out.push_back({{33, 50, 9}, 1, 1, 256, 20, Dtype::kBf16, {-1, -1, 0}});
  // As many tiles as a word of the needed ones has bits.
  out.push_back(
      {std::vector<int64_t>(16, 32), 1, 1, 136, 0, Dtype::kBf16, std::vector<int64_t>(16, -1)});
  return out;
}

INSTANTIATE_TEST_SUITE_P(SharedBeginnings, AttentionForwardOf, testing::ValuesIn(trees()),
                         test_name);

struct Result {
  std::vector<double> out, lse, dqkv;
  bool operator==(const Result&) const = default;
};

/// Forward and backward of `qkv` and `dout`, whose rows are those of the case.
Result run(const Case& c, const std::vector<double>& qkv_values,
           const std::vector<double>& dout_values) {
  OpCase op("attention", 33);
  Buffer& qkv = op.input("qkv", c.dtype, {c.n(), c.width()});
  Buffer& dout = op.input("dout", c.dtype, {c.n(), c.heads * c.dim});
  Buffer& starts = op.input("starts", Dtype::kI32, {int64_t(c.lengths.size()) + 1});
  Buffer& out = op.output("out", c.dtype, {c.n(), c.heads * c.dim});
  Buffer& lse = op.output("lse", Dtype::kF32, {c.n(), c.heads});
  Buffer& dqkv = op.output("dqkv", c.dtype, {c.n(), c.width()});
  qkv.set_values(qkv_values);
  dout.set_values(dout_values);
  starts.set_values(starts_of(c));
  attention_forward(
      {.out = out.tensor(),
       .lse = lse.tensor(),
       .qkv = qkv.tensor(),
       .starts = starts.tensor(),
       .shape = c.shape(),
       .scratch =
           op.scratch(Dtype::kF32, {attention_forward_scratch(c.shape(), c.longest())}).tensor()});
  attention_backward({.dqkv = dqkv.tensor(),
                      .dout = dout.tensor(),
                      .out = out.tensor(),
                      .qkv = qkv.tensor(),
                      .lse = lse.tensor(),
                      .starts = starts.tensor(),
                      .shape = c.shape(),
                      .scratch = op.scratch(Dtype::kF32, {attention_backward_scratch(
                                                             c.shape(), c.n(), c.longest())})
                                     .tensor()});
  return {out.values(), lse.values(), dqkv.values()};
}

std::vector<double> random_values(int64_t count, uint64_t seed) {
  Rng rng(seed);
  std::vector<double> out(static_cast<size_t>(count));
  for (double& x : out) x = 2 * rng.uniform() - 1;
  return out;
}

void expect_packed_equals_alone() {
  for (const int64_t window : {0, 20}) {
    const Case packed{{70, 1, 33, 128}, 6, 2, 64, window, Dtype::kBf16};
    const auto qkv = random_values(packed.n() * packed.width(), 34);
    const auto dout = random_values(packed.n() * packed.heads * packed.dim, 35);
    const Result together = run(packed, qkv, dout);
    Result apart;
    int64_t start = 0;
    for (const int64_t length : packed.lengths) {
      Case alone = packed;
      alone.lengths = {length};
      const auto part = [&](const std::vector<double>& all, int64_t width) {
        return std::vector<double>(all.begin() + start * width,
                                   all.begin() + (start + length) * width);
      };
      const Result one = run(alone, part(qkv, packed.width()), part(dout, packed.heads * 64));
      apart.out.insert(apart.out.end(), one.out.begin(), one.out.end());
      apart.lse.insert(apart.lse.end(), one.lse.begin(), one.lse.end());
      apart.dqkv.insert(apart.dqkv.end(), one.dqkv.begin(), one.dqkv.end());
      start += length;
    }
    EXPECT_TRUE(together.out == apart.out) << packed.name("attention_forward");
    EXPECT_TRUE(together.lse == apart.lse) << packed.name("attention_forward");
    EXPECT_TRUE(together.dqkv == apart.dqkv) << packed.name("attention_backward");
  }
}

TEST(AttentionPacking, EqualsSequencesAlone) {
  SKIP_UNLESS_CPU();
  set_threads(1);
  on_every_dot(expect_packed_equals_alone);
  set_threads(0);
}

/// Of bf16 products the instruction's bits are those of the f32 sums that emulate it.
TEST(AttentionBf16, InstructionEqualsItsEmulation) {
  SKIP_UNLESS_CPU();
  if (!executes_bf16_dot()) GTEST_SKIP() << "the processor has no vdpbf16ps";
  for (const Case& c : {Case{{70, 1, 33, 128}, 6, 2, 64, 0, Dtype::kBf16},
                        Case{{13, 17, 1, 64, 65}, 2, 1, 31, 20, Dtype::kBf16}}) {
    const auto qkv = random_values(c.n() * c.width(), 42);
    const auto dout = random_values(c.n() * c.heads * c.dim, 43);
    const auto with = [&](Bf16Dot dot) {
      const ForcedBf16Dot forced(dot);
      return run(c, qkv, dout);
    };
    const Result native = with(Bf16Dot::kNative);
    EXPECT_TRUE(native == with(Bf16Dot::kEmulated)) << c.name("attention");
    EXPECT_FALSE(native == with(Bf16Dot::kNone)) << c.name("attention") << ": ran without it";
  }
}

TEST(AttentionForward, AnyNumberOfThreads) {
  SKIP_UNLESS_CPU();
  const Case c{{150, 1, 33}, 6, 2, 64, 0, Dtype::kBf16};
  const auto qkv = random_values(c.n() * c.width(), 36);
  const auto dout = random_values(c.n() * c.heads * c.dim, 37);
  on_every_dot([&] {
    set_threads(1);
    const Result one = run(c, qkv, dout);
    for (const int count : {2, 3, 7}) {
      set_threads(count);
      EXPECT_TRUE(run(c, qkv, dout).out == one.out) << c.name("attention_forward") << count;
    }
  });
  set_threads(0);
}

TEST(AttentionGradient, EqualsCentralDifferences) {
  const Case c{{4, 1, 3}, 4, 2, 3, 3};
  OpCase op(c.name("attention_backward") + " against central differences", 38);
  Buffer& qkv = op.input("qkv", c.dtype, {c.n(), c.width()});
  Buffer& starts = op.input("starts", Dtype::kI32, {int64_t(c.lengths.size()) + 1});
  Buffer& dout = op.input("dout", c.dtype, {c.n(), c.heads * c.dim});
  Buffer& out = op.input("out", c.dtype, {c.n(), c.heads * c.dim});
  Buffer& lse = op.input("lse", Dtype::kF32, {c.n(), c.heads});
  Buffer& dqkv = op.output("dqkv", c.dtype, {c.n(), c.width()});
  Buffer& scratch =
      op.scratch(Dtype::kF32, {attention_backward_scratch(c.shape(), c.n(), c.longest())});
  starts.set_values(starts_of(c));
  const auto forward = forward_reference<double>(c, qkv.values());
  out.set_values(forward.out);
  lse.set_values(forward.lse);
  // Here out and lse are functions of the input, and what backward is given is those rounded.
  const auto rounded = [](const std::vector<double>& values) {
    std::vector<Bounded> y;
    for (const double x : values) y.push_back(Bounded(x).rounded());
    return y;
  };
  const auto bounds = backward_reference<Bounded>(c, qkv.values(), dout.values(),
                                                  rounded(forward.out), rounded(forward.lse));
  const auto loss = [&](const std::vector<double>& x) {
    const auto y = forward_reference<double>(c, x).out;
    double total = 0;
    for (size_t i = 0; i < y.size(); ++i) total += y[i] * dout.at(int64_t(i));
    return total;
  };
  op.want(dqkv, with_bounds_of(bounds, central_differences(loss, qkv.values())));
  op.check([&] {
    attention_backward({.dqkv = dqkv.tensor(),
                        .dout = dout.tensor(),
                        .out = out.tensor(),
                        .qkv = qkv.tensor(),
                        .lse = lse.tensor(),
                        .starts = starts.tensor(),
                        .shape = c.shape(),
                        .scratch = scratch.tensor()});
  });
}

struct DecodeCase {
  std::vector<int64_t> lengths;
  int64_t room, heads, kv_heads, dim, window = 0;
  Dtype dtype = Dtype::kF32, cache = Dtype::kF32;
  bool apart = false;  // scores of one head are far above all of the next
};

/// Decoding is the last row of a sequence whose keys and values are the cache's. Rows of q are
/// `gap` further apart than they are wide.
void check_decode(const DecodeCase& c, int64_t gap) {
  const auto batch = int64_t(c.lengths.size());
  const int64_t cached = c.kv_heads * c.dim, width = c.heads * c.dim;
  OpCase op(
      cat("attention_decode ", dtype_name(c.dtype), " cache ", dtype_name(c.cache), " lengths ",
          shape_name(c.lengths), " room ", c.room, " H ", c.heads, " K ", c.kv_heads, " D ", c.dim,
          " window ", c.window, " gap ", gap, " on ", threads(), " threads"),
      39);
  Buffer& q = op.input("q", c.dtype, {batch, width}, gap);
  Buffer& keys = op.input("keys", c.cache, {batch, c.room, cached});
  Buffer& values = op.input("values", c.cache, {batch, c.room, cached});
  Buffer& lengths = op.input("lengths", Dtype::kI32, {batch});
  Buffer& out = op.output("out", c.dtype, {batch, width});
  const AttentionShape shape = Case{{1}, c.heads, c.kv_heads, c.dim, c.window}.shape();
  Buffer& scratch = op.scratch(Dtype::kF32, {attention_decode_scratch(shape, batch, c.room)});
  lengths.set_values({c.lengths.begin(), c.lengths.end()});
  if (c.apart) {
    // Scores are 60 and -60 in turn: of any two heads one's exponentials vanish beside the other's.
    for (int64_t i = 0; i < keys.size(); ++i) keys.set(i, 1.0);
    const double each = 60.0 / std::sqrt(double(c.dim));
    for (int64_t i = 0; i < q.size(); ++i) q.set(i, i / c.dim % 2 ? -each : each);
  }
  std::vector<Bounded> want;
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t length = c.lengths[size_t(b)];
    // Positions past the length hold NaN, as memory that was never written may.
    for (int64_t i = length * cached; i < c.room * cached; ++i)
      for (Buffer* cache : {&keys, &values}) cache->set(b * c.room * cached + i, NAN);
    if (length == 0) {
      want.insert(want.end(), size_t(width), Bounded(0.0));
      continue;
    }
    const Case one{{length}, c.heads, c.kv_heads, c.dim, c.window};
    std::vector<double> qkv(size_t(length * one.width()));
    for (int64_t p = 0; p < length; ++p) {
      for (int64_t i = 0; i < cached; ++i) {
        const int64_t from = (b * c.room + p) * cached + i;
        qkv[size_t(p * one.width() + width + i)] = keys.at(from);
        qkv[size_t(p * one.width() + width + cached + i)] = values.at(from);
      }
      for (int64_t i = 0; i < width; ++i) qkv[size_t(p * one.width() + i)] = q.at(b * width + i);
    }
    const int64_t first = c.window > 0 ? std::max(length - c.window, int64_t{0}) : 0;
    std::vector<int64_t> seen(size_t(length - first));
    std::iota(seen.begin(), seen.end(), first);
    Forward<Bounded> last;
    forward_row<Bounded>(one, {qkv.begin(), qkv.end()}, length - 1, seen, last);
    want.insert(want.end(), last.out.begin(), last.out.end());
  }
  op.want(out, want);
  op.check([&] {
    attention_decode(
        {.out = out.tensor(),
         .q = q.tensor(),
         .keys = keys.tensor(),
         .values = values.tensor(),
         .lengths = lengths.tensor(),
         // What is not said is the room.
         .longest = c.room % 2 == 0 ? 0 : *std::max_element(c.lengths.begin(), c.lengths.end()),
         .shape = shape,
         .scratch = scratch.tensor()});
  });
}

class AttentionDecodeOf : public testing::TestWithParam<DecodeCase> {};

TEST_P(AttentionDecodeOf, EqualsReference) {
  for (const int count : thread_counts())
    for (const int64_t gap : {8, 7}) {  // what leaves accesses of four elements aligned, or not
      set_threads(count);
      check_decode(GetParam(), gap);
      set_threads(0);
    }
}

std::vector<DecodeCase> decode_cases() {
  const Dtype f = Dtype::kF32, h = Dtype::kBf16;
  return {{{1}, 1, 1, 1, 1},
          {{0, 3, 5}, 5, 2, 1, 7, 0, f, h},
          {{33, 0, 1}, 40, 6, 2, 64, 0, h, h},
          {{17, 64}, 65, 3, 1, 80, 9, f, f},
          {{129}, 131, 9, 3, 16, 0, h, f},
          {{300}, 512, 4, 1, 96, 0, f, h},
          {{45}, 45, 17, 1, 128, 0, h, h},
          {{37}, 64, 2, 2, 256, 1, f, h},
          {{63, 150}, 150, 5, 1, 200, 101, h, h},
          {{4097}, 4097, 1, 1, 8, 0, f, h},
          {{45, 300}, 300, 8, 2, 16, 0, f, f, true}};
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionDecodeOf, testing::ValuesIn(decode_cases()),
                         [](const auto& test) { return cat("n", test.index); });

/// Scratch made for so many rows, sequences and positions serves fewer, however these are cut.
TEST(AttentionScratch, ServesFewer) {
  struct Restore {
    ~Restore() { set_threads(0); }
  } restore;
  for (const int count : {1, 2, 8, 64})
    for (const AttentionShape& shape :
         {AttentionShape{.heads = 9, .kv_heads = 3, .head_dim = 64},
          AttentionShape{.heads = 8, .kv_heads = 1, .head_dim = 128},
          AttentionShape{.heads = 4, .kv_heads = 4, .head_dim = 5, .window = 7}}) {
      set_threads(count);
      int64_t forward = 0;
      for (int64_t longest = 1; longest < 600; ++longest) {
        const int64_t need = attention_forward_scratch(shape, longest);
        EXPECT_GE(need, forward) << longest << " positions on " << count << " threads";
        forward = need;
        int64_t backward = 0, decode = 0;
        for (int64_t n = 1; n < 40; ++n) {
          EXPECT_GE(attention_backward_scratch(shape, n * 50, longest), backward) << n << longest;
          EXPECT_GE(attention_backward_scratch(shape, n * 50, longest + 1),
                    attention_backward_scratch(shape, n * 50, longest));
          backward = attention_backward_scratch(shape, n * 50, longest);
          EXPECT_GE(attention_decode_scratch(shape, n, longest), decode)
              << n << " sequences of " << longest << " on " << count << " threads";
          decode = attention_decode_scratch(shape, n, longest);
          EXPECT_GE(attention_decode_scratch(shape, n, longest + 1), decode);
        }
      }
    }
}

TEST(AttentionEntry, RefusesWrongArguments) {
  OpCase op("attention", 40);
  const AttentionShape shape{4, 2, 8, 0, 0.35f};
  Buffer& starts = op.input("starts", Dtype::kI32, {3});
  starts.set_values({0, 2, 5});
  Buffer& bad_starts = op.input("starts", Dtype::kI32, {3});
  AttentionForward good{.out = op.output("out", Dtype::kF32, {5, 32}).tensor(),
                        .lse = op.output("lse", Dtype::kF32, {5, 4}).tensor(),
                        .qkv = op.input("qkv", Dtype::kF32, {5, 64}).tensor(),
                        .starts = starts.tensor(),
                        .shape = shape};
  good.scratch = op.scratch(Dtype::kF32, {attention_forward_scratch(shape, 3)}).tensor();
  const auto refused = [&](auto change) {
    AttentionForward bad = good;
    change(bad);
    EXPECT_THROW(attention_forward(bad), BugError);
  };
  EXPECT_NO_THROW(attention_forward(good));
  refused([&](auto& bad) { bad.shape.kv_heads = 3; });
  refused([&](auto& bad) { bad.shape.kv_heads = 0; });
  refused([&](auto& bad) { bad.shape.head_dim = 257; });
  refused([&](auto& bad) { bad.shape.head_dim = 0; });
  refused([&](auto& bad) { bad.shape.window = -1; });
  refused([&](auto& bad) { bad.qkv = bad.out; });
  refused([&](auto& bad) { bad.lse = bad.out; });
  refused([&](auto& bad) { bad.scratch = {}; });
  refused([&](auto& bad) { bad.scratch.shape[0] -= 1; });
  for (const std::vector<double>& wrong :
       {std::vector<double>{1, 2, 5}, {0, 2, 4}, {0, 6, 5}, {0, -1, 5}}) {
    bad_starts.set_values(wrong);
    refused([&](auto& bad) { bad.starts = bad_starts.tensor(); });
  }
}

TEST(AttentionEntry, CudaIsNeverTheCpu) {
  OpCase op("attention_forward", 41);
  const Device cuda{.kind = DeviceKind::kCuda};
  AttentionForward arguments{.out = op.output("out", Dtype::kF32, {5, 32}).tensor(),
                             .qkv = op.input("qkv", Dtype::kF32, {5, 64}).tensor(),
                             .starts = op.input("starts", Dtype::kI32, {2}).tensor(),
                             .shape = {4, 2, 8, 0, 0.35f}};
  for (Tensor* t : {&arguments.out, &arguments.qkv, &arguments.starts}) t->device = cuda;
  EXPECT_THROW(attention_forward(arguments, {.device = cuda}), UnavailableError);
  EXPECT_THROW(attention_forward(arguments), BugError);  // tensors and stream disagree
}

}  // namespace
}  // namespace nibble
