// SPDX-License-Identifier: Apache-2.0
// Four bits: codes come 16 bytes a thread into shared memory, from where each thread takes eight at
// a time (4 bytes) and writes eight floats of the output, so that a warp reads and writes whole
// lines. A block has 4 KiB of codes on their way at once and a multiprocessor, which holds eight
// blocks, 32 KiB; to be kept busy an H200's memory asks for about 25 (4.8 TB/s times 700 ns over
// 132 of them), and four fifths of what moves is written. Int8: 16 bytes a thread, and 32 KiB,
// likewise.
#include "kernels/dequantize.h"

#include "kernels/cuda/codes.h"
#include "kernels/cuda/row_units.h"
#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kSteps = 4;
constexpr int kUnit = 8;                   // codes of a word
constexpr int kChunk = kThreads * kSteps;  // words of a block

// Flat elements [first, first + count) of the matrix; `first` and `count` are multiples of kUnit,
// and so are a row and the block. `gap` elements of out lie between rows. Codes are read kBytes at
// a time.
template <class T, int kBytes>
__global__ void __launch_bounds__(kThreads)
    dequantize_flat_kernel(T* out, Codes codes, int64_t first, int64_t count, RowUnits rows,
                           int64_t gap) {
  constexpr int kTogether = kBytes / 4;
  alignas(16) __shared__ uint32_t words[kChunk];
  __shared__ float book[16];
  const int64_t first_unit = static_cast<int64_t>(blockIdx.x) * kChunk;
  const auto units = static_cast<int>(min(count / kUnit - first_unit, int64_t{kChunk}));
  const uint8_t* const from = codes.codes + first / 2 + first_unit * 4;
#pragma unroll
  for (int s = 0; s < kChunk; s += kThreads * kTogether) {
    const int i = s + static_cast<int>(threadIdx.x) * kTogether;
    if (i + kTogether <= units) {
      cp_async<kBytes>(words + i, from + 4 * i);
    } else {
      for (int k = i; k < units; ++k) cp_async<4>(words + k, from + 4 * k);
    }
  }
  cp_async_commit();
  if (threadIdx.x < 16) book[threadIdx.x] = codes.book[threadIdx.x];
  float scales[kSteps];
#pragma unroll
  for (int s = 0; s < kSteps; ++s) {
    const int unit = s * kThreads + static_cast<int>(threadIdx.x);
    if (unit < units)
      scales[s] = codes.absmax_of((first + (first_unit + unit) * kUnit) >> codes.block_shift);
  }
  cp_async_wait<0>();
  __syncthreads();
#pragma unroll
  for (int s = 0; s < kSteps; ++s) {
    const int unit = s * kThreads + static_cast<int>(threadIdx.x);
    if (unit >= units) continue;
    const uint32_t word = words[unit];
    Floats<kUnit> x;
#pragma unroll
    for (int k = 0; k < kUnit; ++k) x.v[k] = book[code_of(word, k)] * scales[s];
    write(out + (first_unit + unit) * kUnit + rows.row_of(first_unit + unit) * gap, x);
  }
}

// Any shape, an element a thread.
template <class T>
__global__ void __launch_bounds__(kThreads)
    dequantize_each_kernel(T* out, Codes codes, int64_t first, int64_t rows, int64_t width,
                           int64_t stride) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= rows * width) return;
  out[i / width * stride + i % width] = from_f32<T>(codes.value(first + i));
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    dequantize_int8_kernel(T* out, const int8_t* codes, const float* row_scale, int64_t first_row,
                           int64_t rows, int64_t width, int64_t stride) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= rows * width) return;
  const int64_t row = i / width, column = i % width;
  const auto code = static_cast<float>(codes[(first_row + row) * width + column]);
  out[row * stride + column] =
      from_f32<T>(product(product(code, row_scale[first_row + row]), kInt8Step));
}

// As many codes as are 16 bytes of the output a thread and step.
constexpr int kInt8Steps = 2;

template <class T>
__global__ void __launch_bounds__(kThreads)
    dequantize_int8_wide_kernel(T* out, const int8_t* codes, const float* row_scale,
                                int64_t first_row, uint32_t units, uint32_t row_units,
                                int64_t gap) {
  constexpr int kCodes = kWide<T>;
  const uint32_t begin = blockIdx.x * kThreads * kInt8Steps + threadIdx.x;
  const int64_t first = first_row * row_units * kCodes;
  struct alignas(kCodes) Packed {
    int8_t code[kCodes];
  };
  Packed packed[kInt8Steps];
  float scales[kInt8Steps];
  uint32_t rows[kInt8Steps];
#pragma unroll
  for (int s = 0; s < kInt8Steps; ++s) {
    const uint32_t unit = begin + s * kThreads;
    if (unit >= units) continue;
    packed[s] =
        load_streaming(reinterpret_cast<const Packed*>(codes + first + int64_t{unit} * kCodes));
    rows[s] = unit / row_units;
    scales[s] = row_scale[first_row + rows[s]];
  }
#pragma unroll
  for (int s = 0; s < kInt8Steps; ++s) {
    const uint32_t unit = begin + s * kThreads;
    if (unit >= units) continue;
    Floats<kCodes> x;
#pragma unroll
    for (int k = 0; k < kCodes; ++k)
      x.v[k] = product(product(static_cast<float>(packed[s].code[k]), scales[s]), kInt8Step);
    write(out + int64_t{unit} * kCodes + rows[s] * gap, x);
  }
}

Launch flat(int64_t things, int64_t each, Stream stream) {
  return {.grid = dim3(blocks_for(things, each)),
          .block = dim3(kThreads),
          .stream = queue(stream).stream,
          .name = "dequantize"};
}

bool aligned(const void* p, size_t bytes) {
  return reinterpret_cast<uintptr_t>(p) % bytes == 0;
}

}  // namespace

void dequantize(const Dequantize& op, Stream stream) {
  const QuantizedMatrix& m = op.matrix;
  const int64_t rows = op.out.dim(0), width = m.in_features, count = rows * width;
  const int64_t first = op.first_row * width;
  const bool dense = op.out.dense();
  const int64_t gap = dense ? 0 : op.out.row_stride - width;
  with_float_type(op.out.dtype, [&](auto type) {
    using T = decltype(type);
    T* out = device_pointer<T>(op.out);
    if (m.type == QuantType::kInt8) {
      const auto* codes = reinterpret_cast<const int8_t*>(m.codes);
      constexpr int kCodes = kWide<T>;
      const int64_t units = count / kCodes;
      if (aligned(op.out.data, 16) && width % kCodes == 0 && gap % kCodes == 0 &&
          aligned(m.codes, kCodes) && units <= INT32_MAX)
        return launch(dequantize_int8_wide_kernel<T>, flat(units, kThreads * kInt8Steps, stream),
                      out, codes, m.row_scale, op.first_row, static_cast<uint32_t>(units),
                      static_cast<uint32_t>(width / kCodes), gap);
      return launch(dequantize_int8_kernel<T>, flat(count, kThreads, stream), out, codes,
                    m.row_scale, op.first_row, rows, width, op.out.row_stride);
    }
    // Rows without gaps are one.
    const int64_t row = dense ? count : width;
    if (aligned(op.out.data, 16) && first % kUnit == 0 && row % kUnit == 0 && gap % kUnit == 0 &&
        m.block % kUnit == 0 && aligned(m.codes, 4)) {
      const bool wide = first % 32 == 0 && aligned(m.codes, 16);
      return launch(wide ? dequantize_flat_kernel<T, 16> : dequantize_flat_kernel<T, 4>,
                    flat(count, kChunk * kUnit, stream), out, make_codes(m), first, count,
                    RowUnits(row / kUnit), gap);
    }
    launch(dequantize_each_kernel<T>, flat(count, kThreads, stream), out, make_codes(m), first,
           rows, width, op.out.row_stride);
  });
}

}  // namespace nibble::cuda
