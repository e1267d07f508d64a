// SPDX-License-Identifier: Apache-2.0
#include "kernels/qk.h"

#include <gtest/gtest.h>

#include "support/op_harness.h"

namespace nibble {
namespace {

constexpr float kEps = 1e-5f;
constexpr int64_t kPositions = 13, kRoom = 3;

/// What norm and rotation hand each other may be rounded to storage in between.
Bounded stored(Bounded x, Dtype dtype) {
  return {x.value, x.error + unit_roundoff(dtype) * (std::abs(x.value) + x.error)};
}
double stored(double x, Dtype) {
  return x;
}

struct Case {
  int64_t n, heads, kv_heads, d;
  Dtype dtype, weight;
  bool norm = true, cache = false;
  std::string name(const char* op) const {
    return cat(op, " ", dtype_name(dtype), norm ? cat(" weight ", dtype_name(weight)) : " no norm",
               cache ? " cache " : " ", shape_name({n, heads, kv_heads, d}));
  }
  int64_t width() const { return (heads + kv_heads) * d; }
};

/// Everything read, and the formulas; a head's number counts queries, then keys.
struct Inputs {
  Case c;
  Buffer &cos, &sin, &positions;
  Buffer *q_weight = nullptr, *k_weight = nullptr;

  template <class Real>
  Real weight(int64_t head, int64_t i) const {
    return Real((head < c.heads ? q_weight : k_weight)->at(i));
  }
  /// A head by its row's angles, `sign` 1 forward, -1 backward.
  template <class Real>
  std::vector<Real> turned(const std::vector<Real>& x, int64_t row, double sign) const {
    const int64_t half = c.d / 2, at = int64_t(positions.at(row)) * half;
    std::vector<Real> out(x.size());
    for (int64_t i = 0; i < half; ++i) {
      const Real co = cos.at(at + i), si = sign * sin.at(at + i);
      const Real low = x[size_t(i)], high = x[size_t(half + i)];
      out[size_t(i)] = low * co - high * si;
      out[size_t(half + i)] = high * co + low * si;
    }
    return out;
  }
  template <class Real>
  Real rstd(const std::vector<Real>& x) const {
    std::vector<Real> squares;
    for (const Real& v : x) squares.push_back(v * v);
    using std::sqrt;
    return Real(1.0) / sqrt(sum(squares) / Real(double(c.d)) + Real(double(kEps)));
  }
  template <class Real>
  static std::vector<Real> head(const std::vector<double>& from, int64_t number, int64_t d) {
    return {from.begin() + long(number * d), from.begin() + long((number + 1) * d)};
  }

  template <class Real>
  struct Forward {
    std::vector<Real> out, rstd_q, rstd_k;
  };
  template <class Real>
  Forward<Real> forward(const std::vector<double>& in) const {
    Forward<Real> y;
    for (int64_t number = 0; number < c.n * (c.heads + c.kv_heads); ++number) {
      const int64_t row = number / (c.heads + c.kv_heads), h = number % (c.heads + c.kv_heads);
      std::vector<Real> x = head<Real>(in, number, c.d);
      if (c.norm) {
        const Real r = rstd(x);
        (h < c.heads ? y.rstd_q : y.rstd_k).push_back(r);
        for (int64_t i = 0; i < c.d; ++i)
          x[size_t(i)] = stored(x[size_t(i)] * r * weight<Real>(h, i), c.dtype);
      }
      for (const Real& v : turned(x, row, 1.0)) y.out.push_back(v);
    }
    return y;
  }

  template <class Real>
  struct Backward {
    std::vector<Real> din, dq_weight, dk_weight;
  };
  template <class Real>
  Backward<Real> backward(const std::vector<double>& dout, const std::vector<double>& raw,
                          const std::vector<Real>& rstd_q, const std::vector<Real>& rstd_k) const {
    Backward<Real> y;
    std::vector<std::vector<Real>> terms[2];
    for (auto& t : terms) t.resize(size_t(c.d));
    for (int64_t number = 0; number < c.n * (c.heads + c.kv_heads); ++number) {
      const int64_t row = number / (c.heads + c.kv_heads), h = number % (c.heads + c.kv_heads);
      std::vector<Real> d = turned(head<Real>(dout, number, c.d), row, -1.0);
      const std::vector<Real> x = head<Real>(raw, number, c.d);
      const bool query = h < c.heads;
      const Real r = query ? rstd_q[size_t(row * c.heads + h)]
                           : rstd_k[size_t(row * c.kv_heads + h - c.heads)];
      std::vector<Real> g, products;
      for (size_t i = 0; i < size_t(c.d); ++i) {
        d[i] = stored(d[i], c.dtype);
        terms[query ? 0 : 1][i].push_back(d[i] * x[i] * r);
        g.push_back(d[i] * weight<Real>(h, int64_t(i)));
        products.push_back(g[i] * x[i]);
      }
      const Real mean = sum(products) / Real(double(c.d));
      for (size_t i = 0; i < size_t(c.d); ++i) y.din.push_back(r * (g[i] - x[i] * (r * r * mean)));
    }
    for (const auto& t : terms[0]) y.dq_weight.push_back(sum(t));
    for (const auto& t : terms[1]) y.dk_weight.push_back(sum(t));
    return y;
  }
};

Inputs inputs(OpCase& op, const Case& c) {
  Inputs in = {c, op.input("cos", Dtype::kF32, {kPositions, c.d / 2}),
               op.input("sin", Dtype::kF32, {kPositions, c.d / 2}),
               op.input("positions", Dtype::kI32, {c.n})};
  for (int64_t k = 0; k < in.cos.size(); ++k) {
    const int64_t half = c.d / 2;
    const double angle = double(k / half) * std::pow(10000.0, -double(k % half) / double(half));
    in.cos.set(k, std::cos(angle));
    in.sin.set(k, std::sin(angle));
  }
  for (int64_t i = 0; i < c.n; ++i) in.positions.set(i, double(op.rng().below(kPositions)));
  in.positions.set(0, kPositions - 1);
  if (c.norm) {
    in.q_weight = &op.input("q_weight", c.weight, {c.d});
    in.k_weight = &op.input("k_weight", c.weight, {c.d});
  }
  return in;
}

Tensor tensor_of(Buffer* b) {
  return b ? b->tensor() : Tensor{};
}

class Qk : public testing::TestWithParam<Case> {};

std::vector<Case> cases() {
  // Halves that are and are not whole accesses; more heads than a group takes; few rows and many.
  const std::vector<std::array<int64_t, 4>> shapes = {
      {1, 1, 1, 2},   {3, 2, 1, 6},    {2, 5, 3, 8},   {1, 32, 8, 128}, {7, 9, 5, 16},
      {5, 3, 1, 72},  {2, 4, 2, 136},  {3, 2, 2, 256}, {2, 1, 1, 264},  {64, 5, 2, 8},
      {67, 9, 4, 16}, {65, 4, 1, 136}, {70, 1, 1, 14},
  };
  std::vector<Case> out;
  for (const auto& [n, h, k, d] : shapes)
    for (const Dtype dtype : kFloatTypes)
      for (const Dtype weight : kFloatTypes) {
        out.push_back({n, h, k, d, dtype, weight});
        out.push_back({n, h, k, d, dtype, weight, true, true});
        if (dtype == weight) {
          out.push_back({n, h, k, d, dtype, weight, false, true});
          out.push_back({n, h, k, d, dtype, weight, false, false});
        }
      }
  return out;
}

TEST_P(Qk, Forward) {
  const Case& c = GetParam();
  for (const int64_t gap : {8, 5}) {  // what leaves 16-byte accesses aligned, and what does not
    OpCase op(c.name("qk_forward"), 61);
    Inputs in = inputs(op, c);
    Buffer& inout = op.in_place("inout", c.dtype, {c.n, c.width()}, gap);
    const auto want = in.forward<Bounded>(inout.values());
    op.want(inout, want.out);
    Buffer *raw = nullptr, *rstd_q = nullptr, *rstd_k = nullptr, *v = nullptr, *keys = nullptr,
           *values = nullptr, *lengths = nullptr;
    if (c.norm) {
      raw = &op.output("raw", c.dtype, {c.n, c.width()});
      const auto x = inout.values();
      op.want(*raw, std::vector<Bounded>(x.begin(), x.end()));
      rstd_q = &op.output("rstd_q", Dtype::kF32, {c.n, c.heads});
      rstd_k = &op.output("rstd_k", Dtype::kF32, {c.n, c.kv_heads});
      op.want(*rstd_q, want.rstd_q);
      op.want(*rstd_k, want.rstd_k);
    }
    if (c.cache) {
      const int64_t width = c.kv_heads * c.d;
      v = &op.input("v", c.dtype, {c.n, width}, gap);
      keys = &op.in_place("keys", c.dtype, {c.n, kRoom, width});
      values = &op.in_place("values", c.dtype, {c.n, kRoom, width});
      lengths = &op.input("lengths", Dtype::kI32, {c.n});
      for (int64_t i = 0; i < c.n; ++i) lengths->set(i, double(i % 4 == 1 ? 0 : 1 + i % kRoom));
      std::vector<Bounded> want_keys, want_values;
      for (int64_t at = 0; at < keys->size(); ++at) {
        const int64_t row = at / (kRoom * width), position = at / width % kRoom;
        const bool stored_there = double(position) == lengths->at(row) - 1;
        const Bounded& key = want.out[size_t(row * c.width() + c.heads * c.d + at % width)];
        want_keys.push_back(stored_there ? key : Bounded(keys->at(at)));
        want_values.push_back(stored_there ? v->at(row * width + at % width) : values->at(at));
      }
      op.want(*keys, want_keys);
      op.want(*values, want_values);
    }
    op.check([&] {
      qk_forward({.inout = inout.tensor(),
                  .raw = tensor_of(raw),
                  .rstd_q = tensor_of(rstd_q),
                  .rstd_k = tensor_of(rstd_k),
                  .q_weight = tensor_of(in.q_weight),
                  .k_weight = tensor_of(in.k_weight),
                  .eps = kEps,
                  .cos = in.cos.tensor(),
                  .sin = in.sin.tensor(),
                  .positions = in.positions.tensor(),
                  .heads = c.heads,
                  .kv_heads = c.kv_heads,
                  .v = tensor_of(v),
                  .keys = tensor_of(keys),
                  .values = tensor_of(values),
                  .lengths = tensor_of(lengths)});
    });
  }
}

/// rstd as forward stores it: an fp32 input of backward, exact by definition.
void set_rstd(const Inputs& in, const std::vector<double>& raw, Buffer& rstd_q, Buffer& rstd_k) {
  auto y = in.forward<double>(raw);
  for (double& r : y.rstd_q) r = rounded_to(Dtype::kF32, r);
  for (double& r : y.rstd_k) r = rounded_to(Dtype::kF32, r);
  rstd_q.set_values(y.rstd_q);
  rstd_k.set_values(y.rstd_k);
}

std::vector<Bounded> exact(const Buffer& b) {
  const auto values = b.values();
  return {values.begin(), values.end()};
}

TEST_P(Qk, Backward) {
  const Case& c = GetParam();
  if (!c.norm || c.cache) return;  // rotation alone is rope's; a cache has no gradient
  for (const bool trained : {false, true}) {
    OpCase op(c.name("qk_backward"), 62);
    Inputs in = inputs(op, c);
    Buffer& dinout = op.in_place("dinout", c.dtype, {c.n, c.width()}, trained ? 5 : 8);
    Buffer& raw = op.input("raw", c.dtype, {c.n, c.width()});
    Buffer& rstd_q = op.input("rstd_q", Dtype::kF32, {c.n, c.heads});
    Buffer& rstd_k = op.input("rstd_k", Dtype::kF32, {c.n, c.kv_heads});
    set_rstd(in, raw.values(), rstd_q, rstd_k);
    const auto want =
        in.backward<Bounded>(dinout.values(), raw.values(), exact(rstd_q), exact(rstd_k));
    op.want(dinout, want.din);
    Buffer *dq = nullptr, *dk = nullptr;
    if (trained) {
      dq = &op.accumulated("dq_weight", Dtype::kF32, {c.d});
      dk = &op.accumulated("dk_weight", Dtype::kF32, {c.d});
      op.want(*dq, want.dq_weight);
      op.want(*dk, want.dk_weight);
    }
    op.check([&] {
      qk_backward({.dinout = dinout.tensor(),
                   .raw = raw.tensor(),
                   .rstd_q = rstd_q.tensor(),
                   .rstd_k = rstd_k.tensor(),
                   .q_weight = tensor_of(in.q_weight),
                   .k_weight = tensor_of(in.k_weight),
                   .dq_weight = tensor_of(dq),
                   .dk_weight = tensor_of(dk),
                   .cos = in.cos.tensor(),
                   .sin = in.sin.tensor(),
                   .positions = in.positions.tensor(),
                   .heads = c.heads,
                   .kv_heads = c.kv_heads});
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Qk, testing::ValuesIn(cases()));

TEST(QkGradient, EqualsCentralDifferences) {
  const Case c = {3, 2, 1, 8, Dtype::kF32, Dtype::kF32};
  OpCase op("qk_backward F32 (3,2,1,8) against central differences", 63);
  Inputs in = inputs(op, c);
  Buffer& dinout = op.in_place("dinout", c.dtype, {c.n, c.width()});
  Buffer& raw = op.input("raw", c.dtype, {c.n, c.width()});
  Buffer& rstd_q = op.input("rstd_q", Dtype::kF32, {c.n, c.heads});
  Buffer& rstd_k = op.input("rstd_k", Dtype::kF32, {c.n, c.kv_heads});
  set_rstd(in, raw.values(), rstd_q, rstd_k);
  // Here rstd is a function of the input, and what backward is given is that rounded.
  const auto bounds_of = [&](const Buffer& b) {
    std::vector<Bounded> r;
    for (const double x : b.values()) r.push_back(Bounded(x).rounded());
    return r;
  };
  const auto bounds =
      in.backward<Bounded>(dinout.values(), raw.values(), bounds_of(rstd_q), bounds_of(rstd_k));
  const auto dout = dinout.values();
  const auto loss = [&](const std::vector<double>& x) {
    const auto out = in.forward<double>(x).out;
    double total = 0;
    for (size_t i = 0; i < out.size(); ++i) total += out[i] * dout[i];
    return total;
  };
  op.want(dinout, with_bounds_of(bounds.din, central_differences(loss, raw.values())));
  op.check([&] {
    qk_backward({.dinout = dinout.tensor(),
                 .raw = raw.tensor(),
                 .rstd_q = rstd_q.tensor(),
                 .rstd_k = rstd_k.tensor(),
                 .q_weight = in.q_weight->tensor(),
                 .k_weight = in.k_weight->tensor(),
                 .cos = in.cos.tensor(),
                 .sin = in.sin.tensor(),
                 .positions = in.positions.tensor(),
                 .heads = c.heads,
                 .kv_heads = c.kv_heads});
  });
}

TEST(QkEntry, RefusesWrongArguments) {
  OpCase op("qk", 64);
  Buffer& positions = op.input("positions", Dtype::kI32, {2});
  positions.set_values({0, 3});
  const QkForward good{.inout = op.in_place("inout", Dtype::kF32, {2, 12}).tensor(),
                       .cos = op.input("cos", Dtype::kF32, {4, 2}).tensor(),
                       .sin = op.input("sin", Dtype::kF32, {4, 2}).tensor(),
                       .positions = positions.tensor(),
                       .heads = 2,
                       .kv_heads = 1};
  EXPECT_NO_THROW(qk_forward(good));
  QkForward bad = good;
  bad.heads = 1;
  EXPECT_THROW(qk_forward(bad), BugError);
  bad = good;
  bad.q_weight = op.input("q_weight", Dtype::kF32, {4}).tensor();  // without k's
  EXPECT_THROW(qk_forward(bad), BugError);
  bad = good;
  bad.keys = op.in_place("keys", Dtype::kF32, {2, 3, 8}).tensor();  // of two heads
  EXPECT_THROW(qk_forward(bad), BugError);
  const QkBackward back{.dinout = good.inout,
                        .cos = good.cos,
                        .sin = good.sin,
                        .positions = good.positions,
                        .heads = 2,
                        .kv_heads = 1};
  EXPECT_NO_THROW(qk_backward(back));
  QkBackward none = back;
  none.kv_heads = 0;
  EXPECT_THROW(qk_backward(none), BugError);
}

}  // namespace
}  // namespace nibble
