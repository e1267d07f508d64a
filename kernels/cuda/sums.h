// SPDX-License-Identifier: Apache-2.0
// Sums of a whole tensor in double, in an order that depends on its length alone.
#pragma once

#include "tensor/tensor.h"

namespace nibble::cuda {

enum class SumOf : bool { kValues, kSquares };

/// Of a dense f32 tensor: where on the device the sum will be, until the stream's next sum.
const double* total_on_device(const Tensor& in, SumOf what, Stream stream, const char* name);
/// That sum; waits for the stream.
double read_total(const double* sum, Stream stream, const char* name);
/// Both.
double total(const Tensor& in, SumOf what, Stream stream, const char* name);
/// Adds the sum of its values to a number of the device.
void add_total(const Tensor& in, double* out, Stream stream, const char* name);

}  // namespace nibble::cuda
