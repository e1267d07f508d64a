// SPDX-License-Identifier: Apache-2.0
// A warp takes a few neighbouring output rows: its lanes read neighbouring words of codes (or
// elements of a dense row) of each, looked up once for up to kMostRows vectors, which lie in shared
// memory; the lanes' sums meet at the end in a fixed order. How many rows a warp takes and how many
// vectors a sweep has changes no bits.
#include <algorithm>

#include "kernels/cuda/codes.h"
#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kMostRows = 8;  // vectors of one sweep over the weights
constexpr int kUnit = 8;
constexpr int kWideUnit = 32;  // codes of 16 bytes

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
  Sums<kRows> sums[kOut];
  for (int64_t begin = 0; begin < vectors.width; begin += tile) {
    const auto columns =
        static_cast<int>(vectors.width - begin < tile ? vectors.width - begin : tile);
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
        reads[j] = weights.read(o + j < outputs ? o + j : outputs - 1, begin + c);
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

// Four bits, kWeights codes a read: rows and blocks are multiples of them, reads aligned.
template <int kWeights>
struct CodeUnits {
  static constexpr int kCount = kWeights, kUnroll = 2;
  struct alignas(kWeights / 2) Words {
    uint32_t word[kWeights / 8];
  };
  struct Read {
    Words words;
    float absmax;
  };
  Codes codes;
  int64_t width;
  __device__ __forceinline__ Read read(int64_t o, int64_t i) const {
    const int64_t at = o * width + i;
    return {load_streaming(reinterpret_cast<const Words*>(codes.codes + at / 2)),
            codes.absmax_of(at >> codes.block_shift)};
  }
  __device__ __forceinline__ float value(const Read& r, int k) const {
    return codes.book[code_of(r.words.word[k / 8], k % 8)];
  }
  __device__ __forceinline__ float scale(const Read& r) const { return r.absmax; }
};

// Matrices one under another in one launch, each with whole blocks of its own.
constexpr int kMostParts = 4;
struct CodeParts {
  Codes codes[kMostParts];
  int64_t outputs[kMostParts];
  int64_t first_output[kMostParts];
  unsigned first_block[kMostParts];
  int count = 0;
};

template <int kRows, int kOut, int kWeights, class T>
__global__ void __launch_bounds__(kWarps* kWarp)
    codes_matvec_kernel(Vectors<T> vectors, CodeParts parts, int tile) {
  NIBBLE_DYNAMIC_SHARED(T, staged);
  __shared__ float book[16], map[256];
  int part = 0;
  while (part + 1 < parts.count && blockIdx.x >= parts.first_block[part + 1]) ++part;
  CodeUnits<kWeights> weights = {parts.codes[part], vectors.width};
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < 16) book[thread] = weights.codes.book[thread];
  if (!weights.codes.absmax) map[thread] = weights.codes.nested_map[thread];
  static_assert(kWarps * kWarp == 256);
  // multiply_units starts with a barrier.
  weights.codes.book = book;
  weights.codes.nested_map = map;
  vectors.out = vectors.at(parts.first_output[part]);
  const int64_t block = blockIdx.x - parts.first_block[part];
  multiply_units<kRows, kOut>(vectors, weights, staged, tile, block * kWarps * kOut,
                              parts.outputs[part]);
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
template <class W>
struct DenseUnits {
  static constexpr int kCount = kUnit, kUnroll = 1;
  using Read = Packed<W, kUnit>;
  const W* weight;
  int64_t stride;
  __device__ __forceinline__ Read read(int64_t o, int64_t i) const {
    return read_packed<kUnit>(weight + o * stride + i);
  }
  __device__ __forceinline__ float value(const Read& r, int k) const {
    return to_f32(r.element[k]);
  }
  __device__ __forceinline__ float scale(const Read&) const { return 1.0f; }
};

template <int kRows, int kOut, class T, class W>
__global__ void __launch_bounds__(kWarps* kWarp)
    dense_matvec_kernel(Vectors<T> vectors, DenseUnits<W> weights, int tile, int64_t outputs) {
  NIBBLE_DYNAMIC_SHARED(T, staged);
  multiply_units<kRows, kOut>(vectors, weights, staged, tile,
                              static_cast<int64_t>(blockIdx.x) * kWarps * kOut, outputs);
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

// body(integral_constant output rows of a warp): several where there are outputs enough to keep
// all processors busy, and registers enough for the vectors.
constexpr int64_t kManyOutputs = 4096;
template <int kRows, class Body>
void with_outputs(int64_t outputs, const Body& body) {
  if (outputs >= kManyOutputs)
    body(std::integral_constant < int, kRows <= 4 ? 4 : 2 > ());
  else
    body(std::integral_constant<int, 1>());
}

Launch warps_for(int64_t outputs, Stream stream, const char* name) {
  return {.grid = dim3(blocks_for(outputs, kWarps)),
          .block = dim3(kWarps * kWarp),
          .stream = queue(stream).stream,
          .name = name};
}

// Whether codes can be read so many at a time.
bool in_units(const QuantizedMatrix& m, int count) {
  return m.type != QuantType::kInt8 && m.in_features % count == 0 && m.block % count == 0 &&
         reinterpret_cast<uintptr_t>(m.codes) % static_cast<uintptr_t>(count / 2) == 0;
}

// Up to kMostParts matrices that are read in units of eight, in one launch a sweep.
template <class T>
void multiply_parts(const Tensor& out, const Tensor& x, std::span<const QuantizedMatrix> matrices,
                    int64_t first_output, Stream stream) {
  int64_t outputs = 0;
  bool wide = true;
  for (const QuantizedMatrix& m : matrices) {
    outputs += m.out_features;
    wide = wide && in_units(m, kWideUnit);
  }
  for_sweeps<T>(out, x, first_output, [&](auto rows, const Vectors<T>& vectors) {
    constexpr int kRows = decltype(rows)::value;
    with_outputs<kRows>(outputs, [&](auto each) {
      constexpr int kOut = decltype(each)::value;
      CodeParts parts;
      int64_t first = 0;
      unsigned blocks = 0;
      for (const QuantizedMatrix& m : matrices) {
        parts.codes[parts.count] = make_codes(m);
        parts.outputs[parts.count] = m.out_features;
        parts.first_output[parts.count] = first;
        parts.first_block[parts.count++] = blocks;
        first += m.out_features;
        blocks += blocks_for(m.out_features, kWarps * kOut);
      }
      const int tile = tile_of<kRows, T>(vectors.width);
      const Launch where = {.grid = dim3(blocks),
                            .block = dim3(kWarps * kWarp),
                            .shared_bytes = static_cast<size_t>(kRows * tile) * sizeof(T),
                            .stream = queue(stream).stream,
                            .name = "quantized_matvec"};
      if (wide)
        launch(codes_matvec_kernel<kRows, kOut, kWideUnit, T>, where, vectors, parts, tile);
      else
        launch(codes_matvec_kernel<kRows, kOut, kUnit, T>, where, vectors, parts, tile);
    });
  });
}

// A matrix of any shape.
template <class T>
void multiply_each(const Tensor& out, const Tensor& x, const QuantizedMatrix& m,
                   int64_t first_output, Stream stream) {
  const Launch where = warps_for(m.out_features, stream, "quantized_matvec");
  for_sweeps<T>(out, x, first_output, [&](auto rows, const Vectors<T>& vectors) {
    constexpr int kRows = decltype(rows)::value;
    if (m.type == QuantType::kInt8)
      launch(each_matvec_kernel<kRows, T, Int8Rows>, where, vectors,
             Int8Rows{reinterpret_cast<const int8_t*>(m.codes), m.row_scale, m.in_features},
             m.out_features);
    else
      launch(each_matvec_kernel<kRows, T, CodeRows>, where, vectors,
             CodeRows{make_codes(m), m.in_features}, m.out_features);
  });
}

}  // namespace

void quantized_matvec(const QuantizedMatvec& op, Stream stream) {
  with_float_type(op.x.dtype, [&](auto type) {
    using T = decltype(type);
    int64_t first = 0;
    for (size_t i = 0; i < op.matrices.size();) {
      size_t end = i;
      int64_t outputs = 0;
      for (; end < op.matrices.size() && end - i < kMostParts && in_units(op.matrices[end], kUnit);
           ++end)
        outputs += op.matrices[end].out_features;
      if (end > i) {
        if (outputs > 0)
          multiply_parts<T>(op.out, op.x, op.matrices.subspan(i, end - i), first, stream);
      } else {
        outputs = op.matrices[end++].out_features;
        if (outputs > 0) multiply_each<T>(op.out, op.x, op.matrices[i], first, stream);
      }
      first += outputs;
      i = end;
    }
  });
}

void dense_matvec(const DenseMatvec& op, Stream stream) {
  const int64_t outputs = op.weight.dim(0), width = op.weight.dim(1);
  const Launch each = warps_for(outputs, stream, "dense_matvec");
  with_float_type(op.x.dtype, [&](auto type) {
    with_weight_type(op.weight.dtype, [&](auto weight) {
      using T = decltype(type);
      using W = decltype(weight);
      const bool wide = wide_rows(op.weight, width, kUnit);
      for_sweeps<T>(op.out, op.x, 0, [&](auto rows, const Vectors<T>& vectors) {
        constexpr int kRows = decltype(rows)::value, kOut = kRows <= 4 ? 4 : 2;
        const int tile = tile_of<kRows, T>(width);
        if (wide)
          launch(dense_matvec_kernel<kRows, kOut, T, W>,
                 {.grid = dim3(blocks_for(outputs, kWarps * kOut)),
                  .block = dim3(kWarps * kWarp),
                  .shared_bytes = static_cast<size_t>(kRows * tile) * sizeof(T),
                  .stream = queue(stream).stream,
                  .name = "dense_matvec"},
                 vectors, DenseUnits<W>{device_pointer<W>(op.weight), op.weight.row_stride}, tile,
                 outputs);
        else
          launch(each_matvec_kernel<kRows, T, DenseRows<W>>, each, vectors,
                 DenseRows<W>{device_pointer<W>(op.weight), op.weight.row_stride}, outputs);
      });
    });
  });
}

}  // namespace nibble::cuda
