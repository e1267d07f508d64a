// SPDX-License-Identifier: Apache-2.0
// Sums of a whole tensor in double, in an order that depends on its length alone.
#pragma once

#include "tensor/tensor.h"

namespace nibble::cuda {

enum class SumOf : bool { kValues, kSquares };

/// Of a dense f32 tensor. Waits for the stream.
double total(const Tensor& in, SumOf what, Stream stream, const char* name);

}  // namespace nibble::cuda
