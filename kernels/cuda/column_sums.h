// SPDX-License-Identifier: Apache-2.0
// out[c] += sum over rows of term(row, c), in fp32: gradients of biases and of norms' weights. A
// block takes 32 columns, its warps every kWarps-th row each; their sums are added in order, so
// that a rerun has the same bits.
#pragma once

#include "kernels/cuda/values.h"

namespace nibble::cuda {

inline constexpr int kColumnWarps = 16;

template <class Term>
__global__ void __launch_bounds__(kColumnWarps* kWarp)
    column_sums_kernel(float* out, Term term, int64_t rows, int64_t columns) {
  __shared__ float sums[kColumnWarps][kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWarp + lane;
  float sum = 0.0f;
  if (column < columns)
    for (int64_t row = warp; row < rows; row += kColumnWarps) sum += term(row, column);
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || column >= columns) return;
  float total = 0.0f;
  for (int w = 0; w < kColumnWarps; ++w) total += sums[w][lane];
  out[column] += total;
}

template <class Term>
void add_column_sums(const Term& term, const Tensor& out, int64_t rows, Stream stream,
                     const char* name) {
  const int64_t columns = out.dim(0);
  if (rows == 0 || columns == 0) return;
  launch(column_sums_kernel<Term>,
         {.grid = dim3(blocks_for(columns, kWarp)),
          .block = dim3(kColumnWarps * kWarp),
          .stream = queue(stream).stream,
          .name = name},
         device_pointer<float>(out), term, rows, columns);
}

}  // namespace nibble::cuda
