// SPDX-License-Identifier: Apache-2.0
// Bounded: a double with a bound on how far an fp32 evaluation of the same formula may be from it
// (running error analysis, Wilkinson 1963; Higham, "Accuracy and Stability of Numerical
// Algorithms", 3.3). A reference written once as a template over its number type gives the wanted
// value with double, and with Bounded the tolerance too, from machine epsilon and the formula
// alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/dtype.h"

namespace nibble {

/// Half the distance from 1 to the next number: the largest relative error of one rounding.
inline double unit_roundoff(Dtype dtype) {
  return dtype == Dtype::kBf16 ? 0x1p-8 : dtype == Dtype::kF16 ? 0x1p-11 : 0x1p-24;
}

struct Bounded {
  double value = 0.0;
  double error = 0.0;

  Bounded() = default;
  Bounded(double v) : value(v) {}  // NOLINT: an input is exact
  Bounded(double v, double e) : value(v), error(e) {}

  static constexpr double kU = 0x1p-24;      // fp32, round to nearest
  static constexpr double kTiny = 0x1p-125;  // what flushing a subnormal may lose

  /// One more fp32 operation that is accurate to `ulps` units in the last place.
  Bounded rounded(double ulps = 0.5) const {
    return {value, error + 2.0 * ulps * kU * (std::abs(value) + error) + kTiny};
  }
};

inline Bounded operator-(Bounded a) {
  return {-a.value, a.error};
}
inline Bounded operator+(Bounded a, Bounded b) {
  return Bounded(a.value + b.value, a.error + b.error).rounded();
}
inline Bounded operator-(Bounded a, Bounded b) {
  return a + (-b);
}
inline Bounded operator*(Bounded a, Bounded b) {
  const double e = std::abs(a.value) * b.error + std::abs(b.value) * a.error + a.error * b.error;
  return Bounded(a.value * b.value, e).rounded();
}
/// 2 ulp: a reciprocal from an estimate and Newton's step, then a product.
inline Bounded operator/(Bounded a, Bounded b) {
  const double q = a.value / b.value;
  return Bounded(q, (a.error + std::abs(q) * b.error) / (std::abs(b.value) - b.error)).rounded(2);
}
inline Bounded sqrt(Bounded a) {
  const double root = std::sqrt(a.value);
  return Bounded(root,
                 root > 0 ? a.error / (root + std::sqrt(std::max(0.0, a.value - a.error))) : 0)
      .rounded(1);
}
inline Bounded exp(Bounded a) {
  const double e = std::exp(a.value);
  return Bounded(e, e * std::expm1(a.error)).rounded(2);
}
inline Bounded log(Bounded a) {
  return Bounded(std::log(a.value), a.error / (a.value - a.error)).rounded(2);
}

/// A sum of terms that are given one by one, added in any order: n-1 roundings of at most the sum
/// of magnitudes each, and for long sums 16 sqrt(n) of them (the probabilistic bound of Higham and
/// Mary, 2019).
template <class Real>
class Sum;
template <>
class Sum<Bounded> {
 public:
  void add(Bounded t) {
    value_ += t.value;
    error_ += t.error;
    magnitude_ += std::abs(t.value) + t.error;
    n_ += 1.0;
  }
  Bounded total() const {
    const double roundings = std::min(n_, 16.0 * std::sqrt(n_));
    return {value_, error_ + roundings * Bounded::kU * magnitude_};
  }

 private:
  double value_ = 0, error_ = 0, magnitude_ = 0, n_ = 0;
};
template <>
class Sum<double> {
 public:
  void add(double t) { value_ += t; }
  double total() const { return value_; }

 private:
  double value_ = 0;
};
template <class Real>
Real sum(const std::vector<Real>& terms) {
  Sum<Real> all;
  for (const Real& t : terms) all.add(t);
  return all.total();
}

inline double value_of(double x) {
  return x;
}
inline double value_of(Bounded x) {
  return x.value;
}
inline std::vector<double> values_of(const std::vector<Bounded>& in) {
  std::vector<double> out;
  for (const Bounded& x : in) out.push_back(x.value);
  return out;
}

}  // namespace nibble
