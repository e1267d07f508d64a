// SPDX-License-Identifier: Apache-2.0
// Floats to blocks, rounding as the reference quantisers do: codes come from the unrounded scale,
// which is then stored as f16.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/float16.h"
#include "io/gguf_codecs.h"

namespace nibble::ggml {
namespace {

void store_u16(uint8_t* p, uint16_t x) {
  p[0] = static_cast<uint8_t>(x);
  p[1] = static_cast<uint8_t>(x >> 8);
}
void store_f16(uint8_t* p, float x) {
  store_u16(p, to_f16(x).bits);
}

// 1/d, or zero where there is none: for d zero, and for one so small that f16 holds it as zero too.
float inverse(float d) {
  const float id = 1.0f / d;
  return std::isfinite(id) ? id : 0.0f;
}

// Truncates; the sum is never below 0 and rounds to 16 at most.
uint8_t nibble_of(float x) {
  return static_cast<uint8_t>(std::min(x, 15.0f));
}

void encode_f32(const float* in, uint8_t* out) {
  std::memcpy(out, in, sizeof *in);
}
void encode_f16(const float* in, uint8_t* out) {
  store_f16(out, *in);
}
void encode_bf16(const float* in, uint8_t* out) {
  store_u16(out, to_bf16(*in).bits);
}

void encode_q4_0(const float* in, uint8_t* out) {
  // The element furthest from zero, the first of equals, becomes -8.
  const float furthest =
      *std::max_element(in, in + 32, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  const float d = furthest / -8.0f, id = inverse(d);
  store_f16(out, d);
  for (int j = 0; j < 16; ++j) {
    const int low = nibble_of(in[j] * id + 8.5f), high = nibble_of(in[j + 16] * id + 8.5f);
    out[2 + j] = static_cast<uint8_t>(low | (high << 4));
  }
}

void encode_q4_1(const float* in, uint8_t* out) {
  const auto [min, max] = std::minmax_element(in, in + 32);
  const float d = (*max - *min) / 15.0f, id = inverse(d);
  store_f16(out, d);
  store_f16(out + 2, *min);
  for (int j = 0; j < 16; ++j) {
    const int low = nibble_of((in[j] - *min) * id + 0.5f);
    const int high = nibble_of((in[j + 16] - *min) * id + 0.5f);
    out[4 + j] = static_cast<uint8_t>(low | (high << 4));
  }
}

void encode_q8_0(const float* in, uint8_t* out) {
  float furthest = 0.0f;
  for (int j = 0; j < 32; ++j) furthest = std::max(furthest, std::fabs(in[j]));
  const float d = furthest / 127.0f, id = inverse(d);
  store_f16(out, d);
  for (int j = 0; j < 32; ++j) {
    const float code = std::clamp(std::round(in[j] * id), -127.0f, 127.0f);
    out[2 + j] = std::bit_cast<uint8_t>(static_cast<int8_t>(code));
  }
}

// kOne on every block of a run.
template <auto kOne, int64_t kElements, size_t kBytes>
void each(const float* in, uint8_t* out, int64_t blocks) {
  for (int64_t i = 0; i < blocks; ++i, in += kElements, out += kBytes) kOne(in, out);
}

}  // namespace

Encoder encoder(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return each<encode_f32, 1, 4>;
    case GgmlType::kF16:
      return each<encode_f16, 1, 2>;
    case GgmlType::kBf16:
      return each<encode_bf16, 1, 2>;
    case GgmlType::kQ4_0:
      return each<encode_q4_0, 32, 18>;
    case GgmlType::kQ4_1:
      return each<encode_q4_1, 32, 20>;
    case GgmlType::kQ8_0:
      return each<encode_q8_0, 32, 34>;
    default:
      return nullptr;
  }
}

}  // namespace nibble::ggml
