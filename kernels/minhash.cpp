// SPDX-License-Identifier: Apache-2.0
#include "kernels/minhash.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/args.h"
#include "kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/minhash.cpp"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

void minima_of(const MinHash& op) {
  const U32 d;
  const auto first = hn::Set(d, 0x85ebca6bu), second = hn::Set(d, 0xc2b2ae35u);
  const size_t lanes = hn::Lanes(d), count = op.seeds.size();
  for (size_t k = 0; k < count; k += lanes) {
    const size_t part = std::min(lanes, count - k);
    uint32_t buffer[static_cast<size_t>(kLanes)] = {};
    std::copy_n(op.seeds.data() + k, part, buffer);
    const auto seeds = hn::LoadU(d, buffer);
    auto minima = hn::Set(d, ~0u);
    for (const uint32_t item : op.items) {
      auto x = hn::Mul(hn::Xor(hn::Set(d, item), seeds), first);
      x = hn::Mul(hn::Xor(x, hn::ShiftRight<13>(x)), second);
      minima = hn::Min(minima, hn::Xor(x, hn::ShiftRight<16>(x)));
    }
    hn::StoreU(minima, d, buffer);
    std::copy_n(buffer, part, op.minima.data() + k);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(minima_of);
}  // namespace

void minhash(const MinHash& op) {
  CHECK(op.minima.size() == op.seeds.size());
  NIBBLE_SIMD(minima_of)(op);
}

}  // namespace nibble
#endif  // HWY_ONCE
