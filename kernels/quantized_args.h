// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/args.h"
#include "kernels/dequantize.h"

namespace nibble {

/// Throws BugError where a pointer or a size that the matrix's type needs is missing.
void check_matrix(const Args& args, const QuantizedMatrix& matrix);
/// Of so many rows' codes and scales.
double quantized_bytes(const QuantizedMatrix& matrix, int64_t rows);

}  // namespace nibble
