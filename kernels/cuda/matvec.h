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

// The vectors of a sweep: `count` rows of x from `x` on, the results below one another in `out`. A
// sweep may be of more: those too many repeat the last, and their results are thrown away.
template <class T>
struct Vectors {
  void* out;
  int count;
  bool out_is_f32, wide;  // wide: x can be read in whole units
  const T* x;
  int64_t out_stride, x_stride, width;
  __device__ __forceinline__ const T* vector(int m) const {
    return x + min(m, count - 1) * x_stride;
  }
  __device__ __forceinline__ void store(int m, int64_t o, float sum) const {
    if (m >= count) return;
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
  __device__ __forceinline__ Floats<kUnit> unit(int m, int64_t i) const {
    const T* from = vector(m) + i;
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

// Columns of the vectors that are in shared memory at a time, whole rounds of a warp.
template <int kRows, class T>
inline constexpr int kTile = (32 << 10) / static_cast<int>(kRows * sizeof(T));

// Eight bf16 as floats, an instruction each.
__device__ __forceinline__ Floats<kUnit> widened(const Packed<__nv_bfloat16, kUnit>& packed) {
  struct Words {
    uint32_t word[kUnit / 2];
  };
  const auto words = detail::recast<Words>(packed);
  Floats<kUnit> x;
#pragma unroll
  for (int i = 0; i < kUnit / 2; ++i) {
    x.v[2 * i] = low_bf16(words.word[i]);
    x.v[2 * i + 1] = high_bf16(words.word[i]);
  }
  return x;
}
template <class W>
__device__ __forceinline__ Floats<kUnit> widened(const Packed<W, kUnit>& packed) {
  return floats(packed);
}

// Where the vectors lie in shared memory, in planes: a unit of weights is multiplied by kQuads
// times 16 bytes of each vector, and the k-th of all units make a plane, so that neighbouring
// lanes, which have neighbouring units, read neighbours. Of kPitch bytes the last 128 are for the
// vectors. Planes begin turned against one another, so that those of one unit are written without
// conflicts too.
template <class T, int kWeights, int kPitch>
struct Stage {
  static constexpr int kQuads = kWeights * static_cast<int>(sizeof(T)) / 16, kLine = 128;
  static constexpr int kQuadsOfUnit = kUnit * static_cast<int>(sizeof(T)) / 16;
  unsigned char* memory;
  int lines;  // of a plane

  __device__ __forceinline__ T* place(int plane, uint32_t unit) const {
    const uint32_t line = static_cast<uint32_t>(plane * lines) + unit / 8;
    const uint32_t quad = (unit + static_cast<uint32_t>(plane * (8 / kQuads))) % 8;
    return reinterpret_cast<T*>(memory + line * kPitch + (kPitch - kLine) + quad * 16);
  }
  // Eight elements from column c on.
  __device__ __forceinline__ void write(int m, uint32_t c, const Floats<kUnit>& x) const {
    const int plane = m * kQuads + static_cast<int>(c % kWeights / kUnit) * kQuadsOfUnit;
    if constexpr (kQuadsOfUnit == 2) {
      cuda::write<Space::kShared>(place(plane, c / kWeights), low_half(x));
      cuda::write<Space::kShared>(place(plane + 1, c / kWeights), high_half(x));
    } else {
      cuda::write<Space::kShared>(place(plane, c / kWeights), x);
    }
  }
  __device__ __forceinline__ Floats<kUnit> read(int m, uint32_t unit, int e) const {
    const int plane = m * kQuads + e / kUnit * kQuadsOfUnit;
    if constexpr (kQuadsOfUnit == 2)
      return joined(cuda::read<kUnit / 2>(place(plane, unit)),
                    cuda::read<kUnit / 2>(place(plane + 1, unit)));
    else
      return widened(cuda::read_packed<kUnit>(place(plane, unit)));
  }
};

// The units of a tile, and what a block's shared memory takes.
struct Tile {
  int units, lines;
  size_t bytes;
};
template <int kRows, class T, class Weights>
Tile tile_of(int64_t width) {
  using Staged = Stage<T, Weights::kCount, Weights::kPitch>;
  const auto units = static_cast<int>(std::min<int64_t>(kTile<kRows, T>, width) / Weights::kCount);
  static_assert(kTile<kRows, T> % (kWarp * Weights::kCount) == 0);
  const int lines = (units + 7) / 8;
  return {units, lines,
          static_cast<size_t>(std::max(kRows * Staged::kQuads * lines, Weights::kLeastLines)) *
              Weights::kPitch};
}

// Rows [o, o + kOut) of `outputs`, by the warp: weights.row(o, u) is its u-th unit,
// weights.read(row) what is read of that, weights.next(row) the unit a warp further,
// weights.values(read, e) eight weights of it over weights.scale(read), once weights.make_ready()
// and a barrier have been. Reads are a round ahead; the first are on their way before the vectors
// are. Every warp of the block comes.
template <int kRows, int kOut, class T, class Weights>
__device__ __forceinline__ void multiply_units(const Vectors<T>& vectors, const Weights& weights,
                                               unsigned char* shared, int tile,
                                               int64_t first_output, int64_t outputs) {
  constexpr int kWeights = Weights::kCount;
  const int64_t o = first_output + static_cast<int64_t>(threadIdx.x / kWarp) * kOut;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const auto units = static_cast<int>(vectors.width / kWeights);
  RowSums<kRows> sums[kOut];
  typename Weights::Row rows[kOut];
  typename Weights::Read next[kOut] = {};
#pragma unroll
  for (int j = 0; j < kOut; ++j)  // a row too many repeats the last
    rows[j] = weights.row(min(o + j, outputs - 1), lane);
  const auto read_ahead = [&](int u) {
    if (u >= units) return;
#pragma unroll
    for (int j = 0; j < kOut; ++j) {
      next[j] = weights.read(rows[j]);
      rows[j] = weights.next(rows[j]);
    }
  };
  read_ahead(lane);
  weights.make_ready();
  for (int begin = 0; begin < units; begin += tile) {
    const int count = min(units - begin, tile);
    const Stage<T, kWeights, Weights::kPitch> stage = {shared, (min(units, tile) + 7) / 8};
    if (begin > 0) __syncthreads();
#pragma unroll
    for (int m = 0; m < kRows; ++m)
      for (int c = static_cast<int>(threadIdx.x) * kUnit; c < count * kWeights;
           c += kWarps * kWarp * kUnit)
        stage.write(m, static_cast<uint32_t>(c),
                    vectors.unit(m, static_cast<int64_t>(begin) * kWeights + c));
    __syncthreads();
#pragma unroll 1
    for (int u = lane; u < count; u += kWarp) {
      typename Weights::Read reads[kOut];
#pragma unroll
      for (int j = 0; j < kOut; ++j) reads[j] = next[j];
      read_ahead(begin + u + kWarp);
      float parts[kOut][kRows] = {};
#pragma unroll
      for (int e = 0; e < kWeights; e += kUnit) {
        Floats<kUnit> w[kOut];
#pragma unroll
        for (int j = 0; j < kOut; ++j) w[j] = weights.values(reads[j], e);
#pragma unroll
        for (int m = 0; m < kRows; ++m) {
          const Floats<kUnit> x = stage.read(m, static_cast<uint32_t>(u), e);
#pragma unroll
          for (int j = 0; j < kOut; ++j)
#pragma unroll
            for (int k = 0; k < kUnit; ++k) parts[j][m] = fmaf(w[j].v[k], x.v[k], parts[j][m]);
        }
      }
#pragma unroll
      for (int j = 0; j < kOut; ++j)
#pragma unroll
        for (int m = 0; m < kRows; ++m)
          sums[j].v[m] = fmaf(parts[j][m], weights.scale(reads[j]), sums[j].v[m]);
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
    for (int m = 0; m < kRows; ++m) sums.v[m] = fmaf(w, to_f32(vectors.vector(m)[i]), sums.v[m]);
  }
  store_sums(vectors, o, sums);
}

// body(integral_constant rows, Vectors) for the vectors in as few sweeps as may be, of 8, 4, 2 or
// 1: each reads all weights.
template <class T, class Body>
void for_sweeps(const Tensor& out, const Tensor& x, int64_t first_output, const Body& body) {
  for (int64_t m = 0; m < out.dim(0); m += kMostRows) {
    const auto count = static_cast<int>(std::min<int64_t>(out.dim(0) - m, kMostRows));
    const Tensor first = nibble::rows(out, m, count);
    const Vectors<T> vectors = {.out = columns(first, first_output, out.dim(1) - first_output).data,
                                .count = count,
                                .out_is_f32 = out.dtype == Dtype::kF32,
                                .wide = wide_rows(x, x.dim(1), kUnit),
                                .x = device_pointer<T>(x) + m * x.row_stride,
                                .out_stride = out.row_stride,
                                .x_stride = x.row_stride,
                                .width = x.dim(1)};
    if (count > 4)
      body(std::integral_constant<int, kMostRows>(), vectors);
    else if (count > 2)
      body(std::integral_constant<int, 4>(), vectors);
    else if (count > 1)
      body(std::integral_constant<int, 2>(), vectors);
    else
      body(std::integral_constant<int, 1>(), vectors);
  }
}

inline Launch warps_for(int64_t outputs, Stream stream, const char* name) {
  return {.grid = dim3(blocks_for(outputs, kWarps)),
          .block = dim3(kWarps * kWarp),
          .stream = queue(stream).stream,
          .name = name};
}

}  // namespace nibble::cuda
