// SPDX-License-Identifier: Apache-2.0
// From floats to the codes of kernels/dequantize.h, as bitsandbytes 0.50 computes them on the CPU.
//   4 bits: the matrix flattened into blocks of G; s = x * (1 / absmax); the code is the number of
//     midpoints between neighbouring values of the code book that lie below s. A last block that is
//     shorter divides, s = x / absmax, its absmax being at least 1e-38. An odd number of elements
//     is filled up with a zero.
//   dynamic 8 bits: kernels/code_books.h, for the absmax of 4-bit blocks.
//   int8: rows of x rounded to f16, absmax a row, code = round(x * (1 / absmax * 127)) to nearest
//     even.
// A NaN or infinity in the input shows as a non-finite absmax or row_scale; its codes mean nothing.
#pragma once

#include "kernels/dequantize.h"
#include "tensor/tensor.h"

namespace nibble {

struct Quantize4bit {
  Tensor codes;   // (ceil(O*I/2)) u8 written
  Tensor absmax;  // (ceil(O*I/G)) f32 written
  Tensor weight;  // (O,I) f32|bf16|f16, dense
  QuantType type = QuantType::kNf4;
  int64_t block = 64;  // G, a power of two, 32 to 4096
};

struct QuantizeDynamic8bit {
  Tensor codes;   // (n) u8 written
  Tensor absmax;  // (ceil(n/256)) f32 written
  Tensor values;  // (n) f32
};

struct QuantizeInt8 {
  Tensor codes;      // (O,I) i8 written
  Tensor row_scale;  // (O) f32 written
  Tensor weight;     // (O,I) f32|bf16|f16, dense
};

void quantize_4bit(const Quantize4bit& op, Stream stream = current_stream());
void quantize_dynamic8bit(const QuantizeDynamic8bit& op, Stream stream = current_stream());
void quantize_int8(const QuantizeInt8& op, Stream stream = current_stream());

}  // namespace nibble
