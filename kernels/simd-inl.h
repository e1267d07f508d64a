// SPDX-License-Identifier: Apache-2.0
// What the CPU loops share, compiled once an instruction set: a vector of floats loaded from and
// stored to any storage type, whole or in part, loops over a row, sums, exp. Arithmetic is fp32.
// Included inside Highway's foreach_target only, hence no include guard of the common kind.
#if defined(NIBBLE_KERNELS_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NIBBLE_KERNELS_SIMD_INL_H
#undef NIBBLE_KERNELS_SIMD_INL_H
#else
#define NIBBLE_KERNELS_SIMD_INL_H
#endif

#include <hwy/highway.h>

#include <cstring>

#include "tensor/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using U32 = hn::RebindToUnsigned<F32>;
using I32 = hn::RebindToSigned<F32>;
using Half = hn::Rebind<uint16_t, F32>;
using Vec = hn::Vec<F32>;
constexpr int64_t kLanes = hn::MaxLanes(F32());

/// How much of a vector a loop's step covers: all of it, or its first `count` lanes.
struct Whole {};
struct Part {
  size_t count;
};

HWY_INLINE Vec set(float x) {
  return hn::Set(F32(), x);
}
HWY_INLINE Vec zero() {
  return hn::Zero(F32());
}

HWY_INLINE Vec load(const float* p, Whole) {
  return hn::LoadU(F32(), p);
}
HWY_INLINE Vec load(const bf16* p, Whole) {
  const auto bits = hn::LoadU(Half(), reinterpret_cast<const uint16_t*>(p));
  return hn::BitCast(F32(), hn::ShiftLeft<16>(hn::PromoteTo(U32(), bits)));
}
HWY_INLINE Vec load(const f16* p, Whole) {
#if HWY_TARGET == HWY_SCALAR
  return set(to_float(*p));  // Highway's own conversion takes infinities for numbers here
#else
  const hn::Rebind<hwy::float16_t, F32> d;
  return hn::PromoteTo(F32(), hn::LoadU(d, reinterpret_cast<const hwy::float16_t*>(p)));
#endif
}

HWY_INLINE void store(Vec v, float* p, Whole) {
  hn::StoreU(v, F32(), p);
}
/// Rounds to nearest even, as to_bf16; the bits.
HWY_INLINE hn::Vec<Half> narrow(Vec v) {
  const U32 d;
  const auto bits = hn::BitCast(d, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 1u));
  const auto rounded = hn::Add(hn::Add(bits, hn::Set(d, 0x7fffu)), odd);
  const auto quiet = hn::Or(bits, hn::Set(d, 0x400000u));
  const auto chosen = hn::IfThenElse(hn::RebindMask(d, hn::IsNaN(v)), quiet, rounded);
  return hn::DemoteTo(Half(), hn::BitCast(I32(), hn::ShiftRight<16>(chosen)));
}
HWY_INLINE void store(Vec v, bf16* p, Whole) {
  hn::StoreU(narrow(v), Half(), reinterpret_cast<uint16_t*>(p));
}

/// Lanes past the part are zero; nothing past it is read or written.
template <class T>
HWY_INLINE Vec load(const T* p, Part part) {
  T lanes[kLanes] = {};
  std::memcpy(lanes, p, part.count * sizeof(T));
  return load(lanes, Whole{});
}
template <class T>
HWY_INLINE void store(Vec v, T* p, Part part) {
  T lanes[kLanes];
  store(v, lanes, Whole{});
  std::memcpy(p, lanes, part.count * sizeof(T));
}

/// v, with lanes past the part set to zero.
HWY_INLINE Vec keep(Vec v, Whole) {
  return v;
}
HWY_INLINE Vec keep(Vec v, Part part) {
  return hn::IfThenElseZero(hn::FirstN(F32(), part.count), v);
}

/// body(i, Whole) for every whole vector of [0, n), then body(i, Part) for what is left.
template <class Body>
HWY_INLINE void for_vectors(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, Whole{});
  if (i < n) body(i, Part{static_cast<size_t>(n - i)});
}

/// The sum over [0, n) of term(i, part), which is zero past its part. Four chains of additions, in
/// an order that n alone decides.
template <class Term>
HWY_INLINE float sum_vectors(int64_t n, const Term& term) {
  Vec a = zero(), b = zero(), c = zero(), d = zero();
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    a = hn::Add(a, term(i, Whole{}));
    b = hn::Add(b, term(i + kLanes, Whole{}));
    c = hn::Add(c, term(i + 2 * kLanes, Whole{}));
    d = hn::Add(d, term(i + 3 * kLanes, Whole{}));
  }
  for (; i + kLanes <= n; i += kLanes) a = hn::Add(a, term(i, Whole{}));
  if (i < n) b = hn::Add(b, term(i, Part{static_cast<size_t>(n - i)}));
  return hn::GetLane(hn::SumOfLanes(F32(), hn::Add(hn::Add(a, b), hn::Add(c, d))));
}

/// The smaller of x and a bound; a NaN stays a NaN.
HWY_INLINE Vec at_most(float bound, Vec x) {
#if HWY_TARGET == HWY_SCALAR
  return hn::IfThenElse(hn::Gt(x, set(bound)), set(bound), x);
#else
  return hn::Min(set(bound), x);  // minps returns its second operand where one is NaN
#endif
}

/// p * 2^n, for p near 1 and n an integer no greater than 127; 0 for n below -126, whatever p is.
/// `shifted` is n + 1.5 * 2^23, which has n in its low bits.
HWY_INLINE Vec scale_by_power(Vec p, Vec n, Vec shifted) {
#if HWY_TARGET == HWY_AVX3
  (void)shifted;
  // Underflow would cost hundreds of cycles (a microcode assist), hence the mask.
  const auto normal = _mm512_cmp_ps_mask(n.raw, _mm512_set1_ps(-126.0f), _CMP_NLT_UQ);
  return Vec{_mm512_maskz_scalef_ps(normal, p.raw, n.raw)};
#else
  const auto exponent =
      hn::ShiftLeft<23>(hn::Add(hn::BitCast(U32(), shifted), hn::Set(U32(), 127u)));
  const Vec scaled = hn::Mul(p, hn::BitCast(F32(), exponent));
  return hn::IfThenElse(hn::Lt(n, set(-126.0f)), zero(), scaled);
#endif
}

/// exp of x up to 88, within 2 ulp where the result is a normal number, else 0. A NaN stays a NaN.
/// exp(x) = 2^n exp(r), |r| <= ln(2)/2, exp(r) = 1 + r + r^2 q(r) with q fitted for the least
/// greatest relative error (2^-28).
HWY_INLINE Vec exp_up_to_88(Vec x) {
  const Vec magic = set(0x1.8p23f);  // adding it rounds to an integer, kept in the low bits
  const Vec shifted = hn::MulAdd(x, set(0x1.715476p0f), magic);
  const Vec n = hn::Sub(shifted, magic);
  // ln 2 in two parts, of which the first has 9 bits, so that n times it is exact.
  Vec r = hn::NegMulAdd(n, set(0.693359375f), x);
  r = hn::NegMulAdd(n, set(-2.12194440e-4f), r);
  Vec q = set(0x1.6a23d0p-10f);
  q = hn::MulAdd(q, r, set(0x1.123a20p-7f));
  q = hn::MulAdd(q, r, set(0x1.5558f2p-5f));
  q = hn::MulAdd(q, r, set(0x1.555492p-3f));
  q = hn::MulAdd(q, r, set(0x1.fffffcp-2f));
  const Vec p = hn::MulAdd(hn::MulAdd(q, r, set(1.0f)), r, set(1.0f));
  return scale_by_power(p, n, shifted);
}

/// The same for any x: from 88 on it stays at exp(88).
HWY_INLINE Vec exp(Vec x) {
  return exp_up_to_88(at_most(88.0f, x));
}

/// 1/x within 2 ulp, for x of middling size. AVX-512 divides slowly but estimates to 14 bits, which
/// one step of Newton's doubles; the 12 bits of earlier estimates would not do.
HWY_INLINE Vec reciprocal(Vec x) {
#if HWY_TARGET == HWY_AVX3
  const Vec y = hn::ApproximateReciprocal(x);
  return hn::MulAdd(y, hn::NegMulAdd(x, y, set(1.0f)), y);
#else
  return hn::Div(set(1.0f), x);
#endif
}

/// 1 / (1 + exp(-x)), from exp(-|x|) so that nothing overflows and both tails are accurate.
HWY_INLINE Vec sigmoid(Vec x) {
  const Vec e = exp_up_to_88(hn::Or(x, set(-0.0f)));
  const Vec r = reciprocal(hn::Add(set(1.0f), e));
  return hn::IfThenElse(hn::Lt(x, zero()), hn::Mul(e, r), r);
}

/// sums[k] = the sum of the lanes of v[k].
HWY_INLINE void sum_four(const Vec* v, float* sums) {
#if HWY_TARGET == HWY_SCALAR
  for (int k = 0; k < 4; ++k) sums[k] = hn::GetLane(v[k]);
#else
  const hn::FixedTag<float, 4> d4;
  HWY_ALIGN float lanes[4 * kLanes];
  for (int k = 0; k < 4; ++k) hn::Store(v[k], F32(), lanes + k * kLanes);
  const auto quarter = [&](int k) {
    auto sum = hn::Load(d4, lanes + k * kLanes);
    for (int64_t l = 4; l < kLanes; l += 4)
      sum = hn::Add(sum, hn::Load(d4, lanes + k * kLanes + l));
    return sum;
  };
  const auto a = quarter(0), b = quarter(1), c = quarter(2), e = quarter(3);
  // Lanes 0 and 2, 1 and 3 of a and b, and of c and e; then the two halves.
  const auto ab = hn::Add(hn::InterleaveLower(d4, a, b), hn::InterleaveUpper(d4, a, b));
  const auto ce = hn::Add(hn::InterleaveLower(d4, c, e), hn::InterleaveUpper(d4, c, e));
  hn::StoreU(hn::Add(hn::ConcatLowerLower(d4, ce, ab), hn::ConcatUpperUpper(d4, ce, ab)), d4, sums);
#endif
}

/// call(T{}) with T the element type that `dtype` names: float or bf16; and with f16 too.
template <class Call>
HWY_INLINE void with_float(Dtype dtype, const Call& call) {
  if (dtype == Dtype::kBf16)
    call(bf16{});
  else
    call(float{});
}
template <class Call>
HWY_INLINE void with_any_float(Dtype dtype, const Call& call) {
  if (dtype == Dtype::kF16)
    call(f16{});
  else
    with_float(dtype, call);
}

}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#endif  // NIBBLE_KERNELS_SIMD_INL_H
