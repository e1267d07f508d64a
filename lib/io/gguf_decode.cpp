// SPDX-License-Identifier: Apache-2.0
// Blocks to floats. Each product and sum is rounded to float on its own, in the order of the
// formulas, which is what makes the results equal the references' bit for bit.
#include <array>
#include <cstring>

#include "base/float16.h"
#include "io/gguf_codecs.h"

namespace nibble::ggml {
namespace {

uint16_t load_u16(const uint8_t* p) {
  return static_cast<uint16_t>(p[0] | (p[1] << 8));
}
uint32_t load_u32(const uint8_t* p) {
  return load_u16(p) | (static_cast<uint32_t>(load_u16(p + 2)) << 16);
}
float load_f16(const uint8_t* p) {
  return to_float(f16{load_u16(p)});
}
int bits(int byte, int shift, int count) {
  return (byte >> shift) & ((1 << count) - 1);
}
float real(int x) {
  return static_cast<float>(x);
}

// The sixteen steps of IQ4_NL and IQ4_XS.
constexpr std::array<int8_t, 16> kSteps = {-127, -104, -83, -65, -49, -35, -22, -10,
                                           1,    13,   25,  38,  53,  69,  89,  113};

// Q4_K and Q5_K: eight 6-bit scales and eight 6-bit minima in 12 bytes. Those of groups 0 to 3 lie
// in the low bits of bytes 0-3 and 4-7; those of groups 4 to 7 have their low four bits in bytes
// 8-11 (scale low nibble, minimum high nibble) and their upper two in the top of bytes 0-7.
struct ScaleMin {
  int scale, min;
};
ScaleMin scale_min(const uint8_t* packed, int group) {
  if (group < 4) return {packed[group] & 63, packed[group + 4] & 63};
  const int low = packed[group + 4];
  return {(low & 15) | ((packed[group - 4] >> 6) << 4), (low >> 4) | ((packed[group] >> 6) << 4)};
}

void decode_f32(const uint8_t* in, float* out) {
  std::memcpy(out, in, sizeof *out);
}
void decode_f16(const uint8_t* in, float* out) {
  *out = load_f16(in);
}
void decode_bf16(const uint8_t* in, float* out) {
  *out = to_float(bf16{load_u16(in)});
}

// d | 16 bytes: element j in the low nibble of byte j, element j + 16 in its high one
void decode_q4_0(const uint8_t* in, float* out) {
  const float d = load_f16(in);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * real((in[2 + j] & 15) - 8);
    out[j + 16] = d * real((in[2 + j] >> 4) - 8);
  }
}

// d | m | nibbles as in Q4_0
void decode_q4_1(const uint8_t* in, float* out) {
  const float d = load_f16(in), m = load_f16(in + 2);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * real(in[4 + j] & 15) + m;
    out[j + 16] = d * real(in[4 + j] >> 4) + m;
  }
}

// d | u32 of fifth bits, bit j for element j | nibbles as in Q4_0
void decode_q5_0(const uint8_t* in, float* out) {
  const float d = load_f16(in);
  const uint32_t high = load_u32(in + 2);
  for (int j = 0; j < 16; ++j) {
    const int h0 = static_cast<int>((high >> j) & 1), h1 = static_cast<int>((high >> (j + 16)) & 1);
    out[j] = d * real(((in[6 + j] & 15) | (h0 << 4)) - 16);
    out[j + 16] = d * real(((in[6 + j] >> 4) | (h1 << 4)) - 16);
  }
}

// d | m | fifth bits | nibbles
void decode_q5_1(const uint8_t* in, float* out) {
  const float d = load_f16(in), m = load_f16(in + 2);
  const uint32_t high = load_u32(in + 4);
  for (int j = 0; j < 16; ++j) {
    const int h0 = static_cast<int>((high >> j) & 1), h1 = static_cast<int>((high >> (j + 16)) & 1);
    out[j] = d * real((in[8 + j] & 15) | (h0 << 4)) + m;
    out[j + 16] = d * real((in[8 + j] >> 4) | (h1 << 4)) + m;
  }
}

// d | 32 int8
void decode_q8_0(const uint8_t* in, float* out) {
  const float d = load_f16(in);
  for (int j = 0; j < 32; ++j) out[j] = real(static_cast<int8_t>(in[2 + j])) * d;
}

// 16 bytes, scale low nibble and minimum high nibble of each 16 elements | 64 bytes of 2-bit codes:
// byte 32h + j holds elements 128h + 32s + j, s = 0..3, from its low bits up | d | dmin
void decode_q2_k(const uint8_t* in, float* out) {
  const uint8_t *scales = in, *codes = in + 16;
  const float d = load_f16(in + 80), dmin = load_f16(in + 82);
  for (int e = 0; e < 256; ++e) {
    const int code = bits(codes[e / 128 * 32 + e % 32], e % 128 / 32 * 2, 2);
    const uint8_t scale = scales[e / 16];
    out[e] = (d * real(scale & 15)) * real(code) - dmin * real(scale >> 4);
  }
}

// 32 bytes of third bits, bit b of byte j for element 32b + j, 4 is subtracted where it is 0 |
// 64 bytes of low bits as in Q2_K | 12 bytes of 6-bit scales less 32, of each 16 elements: low
// nibbles of bytes 0-7, then their high ones, and the upper two bits in bytes 8-11 | d
void decode_q3_k(const uint8_t* in, float* out) {
  const uint8_t *high = in, *low = in + 32, *packed = in + 96;
  const float d = load_f16(in + 108);
  for (int e = 0; e < 256; ++e) {
    const int g = e / 16;
    const int scale =
        bits(packed[g % 8], g / 8 * 4, 4) | (bits(packed[8 + g % 4], g / 4 * 2, 2) << 4);
    const int code = bits(low[e / 128 * 32 + e % 32], e % 128 / 32 * 2, 2);
    const int offset = bits(high[e % 32], e / 32, 1) ? 0 : 4;
    out[e] = (d * real(scale - 32)) * real(code - offset);
  }
}

// d | dmin | 12 bytes of scales and minima of each 32 elements | 128 bytes: elements 64p + j in the
// low nibble of byte 32p + j, 64p + 32 + j in its high one
void decode_q4_k(const uint8_t* in, float* out) {
  const float d = load_f16(in), dmin = load_f16(in + 2);
  for (int g = 0; g < 8; ++g) {
    const auto [scale, min] = scale_min(in + 4, g);
    const float dl = d * real(scale), ml = dmin * real(min);
    const uint8_t* codes = in + 16 + g / 2 * 32;
    for (int j = 0; j < 32; ++j) out[g * 32 + j] = dl * real(bits(codes[j], g % 2 * 4, 4)) - ml;
  }
}

// as Q4_K with, before the nibbles, 32 bytes of fifth bits: bit g of byte j for element 32g + j
void decode_q5_k(const uint8_t* in, float* out) {
  const float d = load_f16(in), dmin = load_f16(in + 2);
  const uint8_t* high = in + 16;
  for (int g = 0; g < 8; ++g) {
    const auto [scale, min] = scale_min(in + 4, g);
    const float dl = d * real(scale), ml = dmin * real(min);
    const uint8_t* codes = in + 48 + g / 2 * 32;
    for (int j = 0; j < 32; ++j) {
      const int code = bits(codes[j], g % 2 * 4, 4) | (bits(high[j], g, 1) << 4);
      out[g * 32 + j] = dl * real(code) - ml;
    }
  }
}

// 128 bytes of low nibbles (byte 64h + j: elements 128h + j and 128h + 64 + j) | 64 bytes of upper
// two bits (laid out as Q2_K's codes) | 16 int8 scales of each 16 elements | d
void decode_q6_k(const uint8_t* in, float* out) {
  const uint8_t *low = in, *high = in + 128, *scales = in + 192;
  const float d = load_f16(in + 208);
  for (int e = 0; e < 256; ++e) {
    const int code = bits(low[e / 128 * 64 + e % 64], e % 128 / 64 * 4, 4) |
                     (bits(high[e / 128 * 32 + e % 32], e % 128 / 32 * 2, 2) << 4);
    out[e] = (d * real(static_cast<int8_t>(scales[e / 16]))) * real(code - 32);
  }
}

// d | nibbles as in Q4_0, each naming a step
void decode_iq4_nl(const uint8_t* in, float* out) {
  const float d = load_f16(in);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * real(kSteps[in[2 + j] & 15]);
    out[j + 16] = d * real(kSteps[in[2 + j] >> 4]);
  }
}

// d | u16 of the upper two bits of eight scales | 4 bytes of their low nibbles | eight groups of 32
// elements, 16 bytes each, as in IQ4_NL
void decode_iq4_xs(const uint8_t* in, float* out) {
  const float d = load_f16(in);
  const int upper = load_u16(in + 2);
  for (int g = 0; g < 8; ++g) {
    const int scale = bits(in[4 + g / 2], g % 2 * 4, 4) | (bits(upper, 2 * g, 2) << 4);
    const float dl = d * real(scale - 32);
    const uint8_t* codes = in + 8 + g * 16;
    for (int j = 0; j < 16; ++j) {
      out[g * 32 + j] = dl * real(kSteps[codes[j] & 15]);
      out[g * 32 + 16 + j] = dl * real(kSteps[codes[j] >> 4]);
    }
  }
}

// kOne on every block of a run.
template <auto kOne, int64_t kElements, size_t kBytes>
void each(const uint8_t* in, float* out, int64_t blocks) {
  for (int64_t i = 0; i < blocks; ++i, in += kBytes, out += kElements) kOne(in, out);
}

}  // namespace

Decoder decoder(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return each<decode_f32, 1, 4>;
    case GgmlType::kF16:
      return each<decode_f16, 1, 2>;
    case GgmlType::kBf16:
      return each<decode_bf16, 1, 2>;
    case GgmlType::kQ4_0:
      return each<decode_q4_0, 32, 18>;
    case GgmlType::kQ4_1:
      return each<decode_q4_1, 32, 20>;
    case GgmlType::kQ5_0:
      return each<decode_q5_0, 32, 22>;
    case GgmlType::kQ5_1:
      return each<decode_q5_1, 32, 24>;
    case GgmlType::kQ8_0:
      return each<decode_q8_0, 32, 34>;
    case GgmlType::kQ2_K:
      return each<decode_q2_k, 256, 84>;
    case GgmlType::kQ3_K:
      return each<decode_q3_k, 256, 110>;
    case GgmlType::kQ4_K:
      return each<decode_q4_k, 256, 144>;
    case GgmlType::kQ5_K:
      return each<decode_q5_k, 256, 176>;
    case GgmlType::kQ6_K:
      return each<decode_q6_k, 256, 210>;
    case GgmlType::kIq4Nl:
      return each<decode_iq4_nl, 32, 18>;
    case GgmlType::kIq4Xs:
      return each<decode_iq4_xs, 256, 136>;
  }
  return nullptr;
}

}  // namespace nibble::ggml
