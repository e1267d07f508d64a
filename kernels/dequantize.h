// SPDX-License-Identifier: Apache-2.0
// Quantised matrices as bitsandbytes stores them, and the way back to floats.
//   nf4, fp4: the (O,I) matrix flattened, two codes a byte, the first in the high nibble; element e
//     is code_book[code[e]] * absmax[e / block]. Double quantisation (QLoRA, Dettmers et al. 2023)
//     stores absmax[b] = nested_map[absmax_codes[b]] * nested_absmax[b / nested_block] + offset.
//   int8: element (o,i) is codes[o,i] * row_scale[o] * (1/127), rounded in that order.
// Scales are finite: whoever reads them from a file has checked.
// Also the product of such a matrix with a few vectors, straight from the codes, for decoding.
#pragma once

#include <span>

#include "tensor/tensor.h"

namespace nibble {

enum class QuantType : uint8_t { kNf4, kFp4, kInt8 };

/// One step of an int8 code whose row scale is 1: 1/127 in single precision.
inline constexpr float kInt8Step = 7.874015718698502e-3f;

/// A view; the bytes belong to a mapped file or an arena.
struct QuantizedMatrix {
  QuantType type = QuantType::kNf4;
  int64_t out_features = 0;               // O
  int64_t in_features = 0;                // I
  int64_t block = 64;                     // G, a power of two
  const uint8_t* codes = nullptr;         // (ceil(O*I/2)) for 4 bits; (O,I) int8 bytes for int8
  const float* code_book = nullptr;       // (16)
  const float* absmax = nullptr;          // (ceil(O*I/G)), or null when nested
  const uint8_t* absmax_codes = nullptr;  // (ceil(O*I/G)) when nested
  const float* nested_map = nullptr;      // (256)
  const float* nested_absmax = nullptr;   // (ceil(blocks/nested_block))
  int64_t nested_block = 256;
  float nested_offset = 0.0f;
  const float* row_scale = nullptr;  // (O), int8
};

/// out = rows [first_row, first_row + M) of the matrix, as floats: the fp32 product rounded once.
struct Dequantize {
  Tensor out;  // (M,I) f32|bf16 written, row stride free
  QuantizedMatrix matrix;
  int64_t first_row = 0;
};

/// out[m,o] = sum_i x[m,i] * W[o,i], fp32 sums, W being matrices of one width one under another;
/// meant for M up to 16, correct for any M. The bits of a vector's result depend neither on the
/// others in the batch nor on the number of threads. A thread that calls keeps M*I floats between
/// calls. Where x is bf16 and the CPU multiplies that (bf16_dot()), so is the code book, at a scale
/// where its values lie nearest to bf16: FP4's are exact, NF4's off by less than half of what
/// `dequantize` rounds to bf16 may be.
struct QuantizedMatvec {
  Tensor out;  // (M, sum of O) f32|bf16 written, row stride free
  Tensor x;    // (M,I) f32|bf16, row stride free
  std::span<const QuantizedMatrix> matrices;
};

void dequantize(const Dequantize& op, Stream stream = current_stream());
void quantized_matvec(const QuantizedMatvec& op, Stream stream = current_stream());

/// The same product and promise for a dense matrix: out[m,o] = sum_i x[m,i] * weight[o,i].
struct DenseMatvec {
  Tensor out;     // (M,O) f32|bf16 written
  Tensor x;       // (M,I) f32|bf16
  Tensor weight;  // (O,I) f32|bf16|f16
};
void dense_matvec(const DenseMatvec& op, Stream stream = current_stream());

}  // namespace nibble
