// SPDX-License-Identifier: Apache-2.0
// The 4-bit half of quantized_matvec: whole registers of codes, eight to a 32-bit lane; and what
// both halves share.
#pragma once

#include <vector>

#include "base/float16.h"
#include "kernels/args.h"
#include "kernels/dequantize.h"
#include "kernels/simd.h"

namespace nibble::cpu {

/// x in the order that the loop reads it, a vector every `stride`: floats, or pairs of bf16 as
/// their bits, where they are multiplied so.
struct Vectors {
  const float* x = nullptr;
  int64_t stride = 0, count = 0, length = 0;
  Bf16Dot dot = Bf16Dot::kNone;
};

/// Rows of the matrix that a thread takes at least.
inline int64_t matvec_grain(const Vectors& v) {
  return row_grain(v.length * v.count / 8);
}

/// `elements` floats, 64-byte aligned, of memory that grows and stays: a step allocates nothing
/// once it is large enough.
inline float* at_least(std::vector<float>& memory, int64_t elements) {
  constexpr int64_t kAlign = 16;
  if (static_cast<int64_t>(memory.size()) < elements + kAlign)
    memory.resize(static_cast<size_t>(elements + kAlign));
  float* base = memory.data();
  return base + (64 - reinterpret_cast<uintptr_t>(base) % 64) % 64 / sizeof(float);
}

/// Whether the rows of a 4-bit matrix are whole lanes of eight codes, each inside one block.
bool codes_fit_words(const QuantizedMatrix& matrix);

/// quantized_matvec of such matrices.
void matvec_codes(const QuantizedMatvec& op);

/// out[m,o] = value, rounded once.
inline void put(const Tensor& out, int64_t m, int64_t o, float value) {
  const int64_t at = m * out.row_stride + o;
  if (out.dtype == Dtype::kF32)
    out.as<float>()[at] = value;
  else
    out.as<bf16>()[at] = to_bf16(value);
}

}  // namespace nibble::cpu
