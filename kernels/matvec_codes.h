// SPDX-License-Identifier: Apache-2.0
// The 4-bit half of quantized_matvec: whole registers of codes, eight to a 32-bit lane.
#pragma once

#include "base/float16.h"
#include "kernels/dequantize.h"

namespace nibble::cpu {

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
