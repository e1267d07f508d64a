// SPDX-License-Identifier: Apache-2.0
#include "kernels/text_lengths.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/args.h"
#include "kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/text_lengths.cpp"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {
namespace {

using U8 = hn::CappedTag<uint8_t, 64>;

// The first `count` bytes of a vector, the others zero.
HWY_INLINE hn::Vec<U8> load_first(const char* p, size_t count) {
  const U8 d;
#if HWY_TARGET <= HWY_AVX3
  return hn::MaskedLoad(hn::FirstN(d, count), d, reinterpret_cast<const uint8_t*>(p));
#else
  uint8_t bytes[hn::MaxLanes(U8())] = {};
  std::memcpy(bytes, p, count);
  return hn::LoadU(d, bytes);
#endif
}

template <class Mask>
HWY_INLINE uint64_t bits_of(Mask mask) {
  uint8_t bytes[8] = {};
  hn::StoreMaskBits(U8(), mask, bytes);
  uint64_t bits;
  std::memcpy(&bits, bytes, sizeof bits);
  return bits;
}

// Calls use(vector, bytes of it) for blocks of the text.
template <class Use>
HWY_INLINE void for_each_block(std::string_view text, Use use) {
  const U8 d;
  const size_t lanes = hn::Lanes(d);
  size_t at = 0;
  for (; at + lanes <= text.size(); at += lanes)
    use(hn::LoadU(d, reinterpret_cast<const uint8_t*>(text.data() + at)), lanes);
  if (at < text.size()) use(load_first(text.data() + at, text.size() - at), text.size() - at);
}

TextLengths count(std::string_view text) {
  const U8 d;
  const auto set = [&](int value) HWY_ATTR { return hn::Set(d, static_cast<uint8_t>(value)); };
  // Whether bytes less `least` are below `count`.
  const auto among = [&](auto bytes, int least, int count)
                         HWY_ATTR { return hn::Lt(hn::Sub(bytes, set(least)), set(count)); };
  TextLengths lengths;
  uint64_t before = 1;  // whether the byte before is white space
  auto others = hn::Zero(d);
  for_each_block(text, [&](auto bytes, size_t size) HWY_ATTR {
    const uint64_t all = ~uint64_t{0} >> (64 - size);
    const uint64_t spaces = bits_of(hn::Or(among(bytes, 9, 5), among(bytes, 28, 5)));
    const uint64_t inner = bits_of(hn::Eq(hn::And(bytes, set(0xC0)), set(0x80)));
    lengths.words += std::popcount(~spaces & (spaces << 1 | before) & all);
    lengths.characters += std::popcount(~inner & all);
    before = spaces >> (size - 1) & 1;
    others =
        hn::Or(others, hn::VecFromMask(d, hn::Or(hn::Eq(bytes, set(0xC2)), among(bytes, 0xE1, 3))));
  });
  lengths.other_space = bits_of(hn::Ne(others, hn::Zero(d))) != 0;
  return lengths;
}

bool ascii(std::string_view text) {
  auto all = hn::Zero(U8());
  for_each_block(text, [&](auto bytes, size_t) HWY_ATTR { all = hn::Or(all, bytes); });
  return bits_of(hn::Gt(all, hn::Set(U8(), uint8_t{0x7F}))) == 0;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nibble {
namespace {
HWY_EXPORT(count);
HWY_EXPORT(ascii);
}  // namespace

TextLengths count_text(std::string_view text) {
  return NIBBLE_SIMD(count)(text);
}

bool is_ascii(std::string_view text) {
  return NIBBLE_SIMD(ascii)(text);
}

}  // namespace nibble
#endif  // HWY_ONCE
