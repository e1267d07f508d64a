// SPDX-License-Identifier: Apache-2.0
// Four bits: a thread takes eight codes (4 bytes) and writes eight floats of the output, so that a
// warp reads 128 bytes and writes whole lines; several such steps a thread keep memory busy.
#include "kernels/dequantize.h"

#include <bit>

#include "kernels/cuda/codes.h"
#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kSteps = 4;
constexpr int kUnit = 8;  // codes of one read

// Which row a unit lies in, without a division: of numbers below 2^31, floor(n / d) is
// n * ceil(2^(31+l) / d) >> (31+l), 2^l being the least power of two that is not below d (Granlund
// and Montgomery 1994).
struct RowUnits {
  uint64_t factor;
  int shift;
  explicit RowUnits(int64_t units) {
    CHECK(units > 0 && units <= INT32_MAX);
    const auto d = static_cast<uint64_t>(units);
    shift = 31 + std::bit_width(d - 1);
    factor = ((uint64_t{1} << shift) + d - 1) / d;
  }
  __device__ __forceinline__ int64_t row_of(int64_t unit) const {
    return static_cast<int64_t>(static_cast<uint64_t>(unit) * factor >> shift);
  }
};

// Flat elements [first, first + count) of the matrix; `first` and `count` are multiples of kUnit,
// and so are a row and the block. `gap` elements of out lie between rows.
template <class T>
__global__ void __launch_bounds__(kThreads)
    dequantize_flat_kernel(T* out, Codes codes, int64_t first, int64_t count, RowUnits rows,
                           int64_t gap) {
  __shared__ float book[16];
  if (threadIdx.x < 16) book[threadIdx.x] = codes.book[threadIdx.x];
  __syncthreads();
  const int64_t begin =
      static_cast<int64_t>(blockIdx.x) * kThreads * kSteps * kUnit + threadIdx.x * kUnit;
  uint32_t words[kSteps];
  float scales[kSteps];
#pragma unroll
  for (int s = 0; s < kSteps; ++s) {
    const int64_t at = begin + s * kThreads * kUnit;
    if (at >= count) continue;
    words[s] = load_streaming(reinterpret_cast<const uint32_t*>(codes.codes + (first + at) / 2));
    scales[s] = codes.absmax_of((first + at) >> codes.block_shift);
  }
#pragma unroll
  for (int s = 0; s < kSteps; ++s) {
    const int64_t at = begin + s * kThreads * kUnit;
    if (at >= count) continue;
    Floats<kUnit> x;
#pragma unroll
    for (int k = 0; k < kUnit; ++k) x.v[k] = book[code_of(words[s], k)] * scales[s];
    write(out + at + rows.row_of(at / kUnit) * gap, x);
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
        m.block % kUnit == 0 && aligned(m.codes, 4))
      return launch(dequantize_flat_kernel<T>, flat(count, kThreads * kSteps * kUnit, stream), out,
                    make_codes(m), first, count, RowUnits(row / kUnit), gap);
    launch(dequantize_each_kernel<T>, flat(count, kThreads, stream), out, make_codes(m), first,
           rows, width, op.out.row_stride);
  });
}

}  // namespace nibble::cuda
