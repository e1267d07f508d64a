// SPDX-License-Identifier: Apache-2.0
// A warp takes a few neighbouring output rows: its lanes read neighbouring words of codes (or
// elements of a dense row) of each, looked up once for up to kMostRows vectors, which lie in shared
// memory; the lanes' sums meet at the end in a fixed order. How many rows a warp takes and how many
// vectors a sweep has changes no bits.
#pragma once

#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/queue.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {

inline constexpr int kWarps = 8;
inline constexpr int kMostRows = 8;  // vectors of one sweep over the weights
inline constexpr int kUnit = 8;

// The vectors of a sweep: rows of x from `x` on, the results below one another in `out`.
template <class T>
struct Vectors {
  void* out;
  bool out_is_f32, wide;  // wide: x can be read in whole units
  const T* x;
  int64_t out_stride, x_stride, width;
  __device__ __forceinline__ void store(int64_t m, int64_t o, float sum) const {
    const int64_t at = m * out_stride + o;
    if (out_is_f32)
      static_cast<float*>(out)[at] = sum;
    else
      static_cast<__nv_bfloat16*>(out)[at] = from_f32<__nv_bfloat16>(sum);
  }
  // Where the results of output o begin.
  __device__ __forceinline__ void* at(int64_t o) const {
    if (out_is_f32) return static_cast<float*>(out) + o;
    return static_cast<__nv_bfloat16*>(out) + o;
  }
  __device__ __forceinline__ Floats<kUnit> unit(int64_t m, int64_t i) const {
    const T* from = x + m * x_stride + i;
    if (wide) return read<kUnit>(from);
    Floats<kUnit> v;
#pragma unroll
    for (int k = 0; k < kUnit; ++k) v.v[k] = to_f32(from[k]);
    return v;
  }
};

template <int kRows>
struct RowSums {
  float v[kRows] = {};
};

template <int kRows, class T>
__device__ __forceinline__ void store_sums(const Vectors<T>& vectors, int64_t o,
                                           const RowSums<kRows>& sums) {
#pragma unroll
  for (int m = 0; m < kRows; ++m) {
    const float sum = warp_sum(sums.v[m]);
    if (threadIdx.x % kWarp == 0) vectors.store(m, o, sum);
  }
}

// Columns of the vectors that are in shared memory at a time.
template <int kRows, class T>
inline constexpr int kTile = (32 << 10) / static_cast<int>(kRows * sizeof(T));
template <int kRows, class T>
int tile_of(int64_t width) {
  return static_cast<int>(std::min<int64_t>(kTile<kRows, T>, width));
}

// Where element c of the vectors' tile lies in shared memory, in units of weights of kWeights
// elements: the k-th eight of all units lie together, so that neighbouring lanes read neighbours.
template <int kWeights>
__device__ __forceinline__ int place_of(int c, int tile) {
  constexpr int kEights = kWeights / kUnit;
  const int eight = c / kUnit;
  return (eight % kEights * (tile / kWeights) + eight / kEights) * kUnit;
}

// Rows [o, o + kOut) of `outputs`, by the warp: weights.read(o, i) is what is read of a unit and
// weights.value(read, k) its k-th weight over weights.scale(read). Every warp of the block comes.
template <int kRows, int kOut, class T, class Weights>
__device__ __forceinline__ void multiply_units(const Vectors<T>& vectors, const Weights& weights,
                                               T* staged, int tile, int64_t first_output,
                                               int64_t outputs) {
  constexpr int kWeights = Weights::kCount;
  const int64_t o = first_output + static_cast<int64_t>(threadIdx.x / kWarp) * kOut;
  RowSums<kRows> sums[kOut];
  for (int64_t begin = 0; begin < vectors.width; begin += tile) {
    const auto columns = static_cast<int>(min(vectors.width - begin, int64_t{tile}));
    if (begin > 0) __syncthreads();
#pragma unroll
    for (int m = 0; m < kRows; ++m)
      for (int c = static_cast<int>(threadIdx.x) * kUnit; c < columns; c += kWarps * kWarp * kUnit)
        write_apart(staged + m * tile, tile, place_of<kWeights>(c, tile),
                    vectors.unit(m, begin + c));
    __syncthreads();
#pragma unroll(kRows <= 2 ? Weights::kUnroll : 1)
    for (int c = static_cast<int>(threadIdx.x) % kWarp * kWeights; c < columns;
         c += kWarp * kWeights) {
      typename Weights::Read reads[kOut];
#pragma unroll
      for (int j = 0; j < kOut; ++j)  // a row too many repeats the last
        reads[j] = weights.read(min(o + j, outputs - 1), begin + c);
#pragma unroll
      for (int e = 0; e < kWeights; e += kUnit) {
        float w[kOut][kUnit];
#pragma unroll
        for (int j = 0; j < kOut; ++j)
#pragma unroll
          for (int k = 0; k < kUnit; ++k) w[j][k] = weights.value(reads[j], e + k);
#pragma unroll
        for (int m = 0; m < kRows; ++m) {
          const Floats<kUnit> x =
              read_apart<kUnit>(staged + m * tile, tile, place_of<kWeights>(c + e, tile));
#pragma unroll
          for (int j = 0; j < kOut; ++j) {
            float part = 0.0f;
#pragma unroll
            for (int k = 0; k < kUnit; ++k) part = fmaf(w[j][k], x.v[k], part);
            sums[j].v[m] = fmaf(part, weights.scale(reads[j]), sums[j].v[m]);
          }
        }
      }
    }
  }
#pragma unroll
  for (int j = 0; j < kOut; ++j)
    if (o + j < outputs) store_sums(vectors, o + j, sums[j]);
}

// Weights of any shape and form, an element a lane.
template <int kRows, class T, class Weights>
__global__ void __launch_bounds__(kWarps* kWarp)
    each_matvec_kernel(Vectors<T> vectors, Weights weights, int64_t outputs) {
  const int64_t o = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (o >= outputs) return;
  RowSums<kRows> sums;
  for (int64_t i = threadIdx.x % kWarp; i < vectors.width; i += kWarp) {
    const float w = weights(o, i);
#pragma unroll
    for (int m = 0; m < kRows; ++m)
      sums.v[m] = fmaf(w, to_f32(vectors.x[m * vectors.x_stride + i]), sums.v[m]);
  }
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
      body(count, Vectors<T>{.out = columns(first, first_output, out.dim(1) - first_output).data,
                             .out_is_f32 = out.dtype == Dtype::kF32,
                             .wide = wide_rows(x, x.dim(1), kUnit),
                             .x = device_pointer<T>(x) + m * x.row_stride,
                             .out_stride = out.row_stride,
                             .x_stride = x.row_stride,
                             .width = x.dim(1)});
      m += kRows;
    }
  };
  sweep(std::integral_constant<int, kMostRows>());
  sweep(std::integral_constant<int, 4>());
  sweep(std::integral_constant<int, 2>());
  sweep(std::integral_constant<int, 1>());
}

inline Launch warps_for(int64_t outputs, Stream stream, const char* name) {
  return {.grid = dim3(blocks_for(outputs, kWarps)),
          .block = dim3(kWarps * kWarp),
          .stream = queue(stream).stream,
          .name = name};
}

}  // namespace nibble::cuda
