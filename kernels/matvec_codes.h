// SPDX-License-Identifier: Apache-2.0
// The 4-bit half of quantized_matvec: whole registers of codes, eight to a 32-bit lane.
#pragma once

#include "kernels/dequantize.h"

namespace nibble::cpu {

/// Whether the rows of a 4-bit matrix are whole lanes of eight codes, each inside one block.
bool codes_fit_words(const QuantizedMatrix& matrix);

/// quantized_matvec of such matrices.
void matvec_codes(const QuantizedMatvec& op);

}  // namespace nibble::cpu
