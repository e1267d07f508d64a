// SPDX-License-Identifier: Apache-2.0
// A warp an output row: its lanes read neighbouring words of codes (or elements of a dense row),
// each code is looked up once for up to kMostRows vectors, and the lanes' sums meet at the end in a
// fixed order, which no other vector of the batch changes.
#include "kernels/cuda/codes.h"
#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kMostRows = 8;  // vectors of one sweep over the weights
constexpr int kUnit = 8;

// The vectors of a sweep: rows of x from `x` on, the results below one another in `out`.
template <class T>
struct Vectors {
  void* out;
  bool out_is_f32;
  const T* x;
  int64_t out_stride, x_stride, width;
  __device__ __forceinline__ void store(int64_t m, int64_t o, float sum) const {
    const int64_t at = m * out_stride + o;
    if (out_is_f32)
      static_cast<float*>(out)[at] = sum;
    else
      static_cast<__nv_bfloat16*>(out)[at] = from_f32<__nv_bfloat16>(sum);
  }
};

template <int kRows>
struct Sums {
  float v[kRows] = {};
};

template <int kRows, class T>
__device__ __forceinline__ void store_sums(const Vectors<T>& vectors, int64_t o,
                                           const Sums<kRows>& sums) {
#pragma unroll
  for (int m = 0; m < kRows; ++m) {
    const float sum = warp_sum(sums.v[m]);
    if (threadIdx.x % kWarp == 0) vectors.store(m, o, sum);
  }
}

// A unit of eight weights times the vectors.
template <int kRows, bool kWideX, class T>
__device__ __forceinline__ void add_unit(Sums<kRows>& sums, const Vectors<T>& vectors, int64_t i,
                                         const Floats<kUnit>& w) {
#pragma unroll
  for (int m = 0; m < kRows; ++m) {
    const T* x = vectors.x + m * vectors.x_stride + i;
    Floats<kUnit> v;
    if constexpr (kWideX) {
      v = read<kUnit>(x);
    } else {
#pragma unroll
      for (int k = 0; k < kUnit; ++k) v.v[k] = to_f32(x[k]);
    }
#pragma unroll
    for (int k = 0; k < kUnit; ++k) sums.v[m] = fmaf(w.v[k], v.v[k], sums.v[m]);
  }
}

// Four bits, rows of a multiple of eight codes that start at whole words, blocks of such multiples.
template <int kRows, bool kWideX, class T>
__global__ void __launch_bounds__(kWarps* kWarp)
    codes_matvec_kernel(Vectors<T> vectors, Codes codes, int64_t outputs) {
  __shared__ float book[16];
  if (threadIdx.x < 16) book[threadIdx.x] = codes.book[threadIdx.x];
  __syncthreads();
  const int64_t o = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (o >= outputs) return;
  const int64_t row = o * vectors.width;
  Sums<kRows> sums;
#pragma unroll 4
  for (int64_t i = threadIdx.x % kWarp * kUnit; i < vectors.width; i += kWarp * kUnit) {
    const uint32_t word =
        load_streaming(reinterpret_cast<const uint32_t*>(codes.codes + (row + i) / 2));
    const float scale = codes.absmax_of((row + i) >> codes.block_shift);
    Floats<kUnit> w;
#pragma unroll
    for (int k = 0; k < kUnit; ++k) w.v[k] = book[code_of(word, k)] * scale;
    add_unit<kRows, kWideX>(sums, vectors, i, w);
  }
  store_sums(vectors, o, sums);
}

// Weights of any shape and form, an element a lane.
struct Int8Rows {
  const int8_t* codes;
  const float* row_scale;
  int64_t width;
  __device__ __forceinline__ float operator()(int64_t o, int64_t i) const {
    return product(product(static_cast<float>(codes[o * width + i]), row_scale[o]), kInt8Step);
  }
};
struct CodeRows {
  Codes codes;
  int64_t width;
  __device__ __forceinline__ float operator()(int64_t o, int64_t i) const {
    return codes.value(o * width + i);
  }
};
template <class W>
struct DenseRows {
  const W* weight;
  int64_t stride;
  __device__ __forceinline__ float operator()(int64_t o, int64_t i) const {
    return to_f32(weight[o * stride + i]);
  }
};

template <int kRows, class T, class Weights>
__global__ void __launch_bounds__(kWarps* kWarp)
    each_matvec_kernel(Vectors<T> vectors, Weights weights, int64_t outputs) {
  const int64_t o = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (o >= outputs) return;
  Sums<kRows> sums;
  for (int64_t i = threadIdx.x % kWarp; i < vectors.width; i += kWarp) {
    const float w = weights(o, i);
#pragma unroll
    for (int m = 0; m < kRows; ++m)
      sums.v[m] = fmaf(w, to_f32(vectors.x[m * vectors.x_stride + i]), sums.v[m]);
  }
  store_sums(vectors, o, sums);
}

// Eight neighbouring weights a lane.
template <int kRows, class T, class W>
__global__ void __launch_bounds__(kWarps* kWarp)
    dense_matvec_kernel(Vectors<T> vectors, const W* weight, int64_t stride, int64_t outputs) {
  const int64_t o = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (o >= outputs) return;
  Sums<kRows> sums;
#pragma unroll 4
  for (int64_t i = threadIdx.x % kWarp * kUnit; i < vectors.width; i += kWarp * kUnit)
    add_unit<kRows, true>(sums, vectors, i, read<kUnit>(weight + o * stride + i));
  store_sums(vectors, o, sums);
}

// body(integral_constant rows, Vectors) for the vectors in sweeps of 8, 4, 2 and 1.
template <class T, class Body>
void for_sweeps(const Tensor& out, const Tensor& x, int64_t first_output, const Body& body) {
  int64_t m = 0;
  const auto sweep = [&](auto count) {
    constexpr int kRows = decltype(count)::value;
    while (out.dim(0) - m >= kRows) {
      const Tensor first = nibble::rows(out, m, kRows);
      body(count, Vectors<T>{columns(first, first_output, out.dim(1) - first_output).data,
                             out.dtype == Dtype::kF32, device_pointer<T>(x) + m * x.row_stride,
                             out.row_stride, x.row_stride, x.dim(1)});
      m += kRows;
    }
  };
  sweep(std::integral_constant<int, kMostRows>());
  sweep(std::integral_constant<int, 4>());
  sweep(std::integral_constant<int, 2>());
  sweep(std::integral_constant<int, 1>());
}

Launch warps_for(int64_t outputs, Stream stream, const char* name) {
  return {.grid = dim3(blocks_for(outputs, kWarps)),
          .block = dim3(kWarps * kWarp),
          .stream = queue(stream).stream,
          .name = name};
}

template <class T>
void multiply(const Tensor& out, const Tensor& x, const QuantizedMatrix& m, int64_t first_output,
              Stream stream) {
  const int64_t width = m.in_features;
  const Launch where = warps_for(m.out_features, stream, "quantized_matvec");
  const bool words = m.type != QuantType::kInt8 && width % kUnit == 0 && m.block % kUnit == 0 &&
                     reinterpret_cast<uintptr_t>(m.codes) % 4 == 0;
  const bool wide_x = wide_rows(x, width, kUnit);
  for_sweeps<T>(out, x, first_output, [&](auto rows, const Vectors<T>& vectors) {
    constexpr int kRows = decltype(rows)::value;
    if (words && wide_x)
      launch(codes_matvec_kernel<kRows, true, T>, where, vectors, make_codes(m), m.out_features);
    else if (words)
      launch(codes_matvec_kernel<kRows, false, T>, where, vectors, make_codes(m), m.out_features);
    else if (m.type == QuantType::kInt8)
      launch(each_matvec_kernel<kRows, T, Int8Rows>, where, vectors,
             Int8Rows{reinterpret_cast<const int8_t*>(m.codes), m.row_scale, width},
             m.out_features);
    else
      launch(each_matvec_kernel<kRows, T, CodeRows>, where, vectors, CodeRows{make_codes(m), width},
             m.out_features);
  });
}

}  // namespace

void quantized_matvec(const QuantizedMatvec& op, Stream stream) {
  int64_t first = 0;
  for (const QuantizedMatrix& matrix : op.matrices) {
    if (matrix.out_features > 0)
      with_float_type(op.x.dtype, [&](auto type) {
        multiply<decltype(type)>(op.out, op.x, matrix, first, stream);
      });
    first += matrix.out_features;
  }
}

void dense_matvec(const DenseMatvec& op, Stream stream) {
  const int64_t outputs = op.weight.dim(0), width = op.weight.dim(1);
  const Launch where = warps_for(outputs, stream, "dense_matvec");
  with_float_type(op.x.dtype, [&](auto type) {
    with_weight_type(op.weight.dtype, [&](auto weight) {
      using T = decltype(type);
      using W = decltype(weight);
      const bool wide = wide_rows(op.x, width, kUnit) && wide_rows(op.weight, width, kUnit);
      for_sweeps<T>(op.out, op.x, 0, [&](auto rows, const Vectors<T>& vectors) {
        constexpr int kRows = decltype(rows)::value;
        if (wide)
          launch(dense_matvec_kernel<kRows, T, W>, where, vectors, device_pointer<W>(op.weight),
                 op.weight.row_stride, outputs);
        else
          launch(each_matvec_kernel<kRows, T, DenseRows<W>>, where, vectors,
                 DenseRows<W>{device_pointer<W>(op.weight), op.weight.row_stride}, outputs);
      });
    });
  });
}

}  // namespace nibble::cuda
