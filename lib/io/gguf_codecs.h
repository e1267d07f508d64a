// SPDX-License-Identifier: Apache-2.0
// One function a type and direction, one block a call: what the table in gguf_blocks.cpp points to.
// A byte table stands before each definition; d and m are f16 scales, little-endian.
#pragma once

#include <cstdint>

namespace nibble::ggml {

void decode_f32(const uint8_t* in, float* out);
void decode_f16(const uint8_t* in, float* out);
void decode_bf16(const uint8_t* in, float* out);
void decode_q4_0(const uint8_t* in, float* out);
void decode_q4_1(const uint8_t* in, float* out);
void decode_q5_0(const uint8_t* in, float* out);
void decode_q5_1(const uint8_t* in, float* out);
void decode_q8_0(const uint8_t* in, float* out);
void decode_q2_k(const uint8_t* in, float* out);
void decode_q3_k(const uint8_t* in, float* out);
void decode_q4_k(const uint8_t* in, float* out);
void decode_q5_k(const uint8_t* in, float* out);
void decode_q6_k(const uint8_t* in, float* out);
void decode_iq4_nl(const uint8_t* in, float* out);
void decode_iq4_xs(const uint8_t* in, float* out);

void encode_f32(const float* in, uint8_t* out);
void encode_f16(const float* in, uint8_t* out);
void encode_bf16(const float* in, uint8_t* out);
void encode_q4_0(const float* in, uint8_t* out);
void encode_q4_1(const float* in, uint8_t* out);
void encode_q8_0(const float* in, uint8_t* out);

}  // namespace nibble::ggml
