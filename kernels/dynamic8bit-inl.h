// SPDX-License-Identifier: Apache-2.0
// A block of 256 floats to dynamic 8-bit codes, compiled once an instruction set: what the 8-bit
// optimizer does to its state and double quantisation to absmax.
#if defined(NIBBLE_KERNELS_DYNAMIC8BIT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NIBBLE_KERNELS_DYNAMIC8BIT_INL_H
#undef NIBBLE_KERNELS_DYNAMIC8BIT_INL_H
#else
#define NIBBLE_KERNELS_DYNAMIC8BIT_INL_H
#endif

#include <hwy/highway.h>

#include <array>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {

/// Codes of x[0, count), which is aligned and padded with zeros to 256 floats; returns absmax. A
/// block of zeros has codes 0. A NaN is left out of absmax, an infinity is not.
HWY_INLINE float narrow_dynamic(const float* x, const std::array<uint8_t, 65536>& grid,
                                int64_t count, uint8_t* codes) {
  namespace hn = hwy::HWY_NAMESPACE;
  constexpr int64_t kBlock = 256;
  constexpr int64_t kWidth = HWY_LANES(float);
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  auto most = hn::Zero(d);
  for (int64_t i = 0; i < kBlock; i += kWidth) most = hn::Max(most, hn::Abs(hn::Load(d, x + i)));
  const float absmax = hn::GetLane(hn::MaxOfLanes(d, most));
  if (!(absmax > 0.0f)) {
    std::memset(codes, 0, static_cast<size_t>(count));
    return 0.0f;
  }
  HWY_ALIGN int32_t point[kBlock];
  const auto one = hn::Set(d, 1.0f), inverse = hn::Set(d, 1.0f / absmax);
  for (int64_t i = 0; i < kBlock; i += kWidth) {
    const auto v = hn::Max(hn::Min(hn::Mul(hn::Load(d, x + i), inverse), one), hn::Neg(one));
    const auto place = hn::Add(hn::Mul(hn::Add(v, one), hn::Set(d, 32767.5f)), hn::Set(d, 0.5f));
    // The mask keeps a NaN, whose conversion is anything, inside the grid.
    hn::Store(hn::And(hn::ConvertTo(di, place), hn::Set(di, 0xffff)), di, point + i);
  }
  for (int64_t i = 0; i < count; ++i) codes[i] = grid[static_cast<size_t>(point[i])];
  return absmax;
}

}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#endif
