// SPDX-License-Identifier: Apache-2.0
// Few vectors times 4- and 8-bit matrices, from the codes as they are stored.
#include "kernels/cuda/codes.h"
#include "kernels/cuda/matvec.h"
#include "kernels/cuda/twins.h"

namespace nibble::cuda {
namespace {

constexpr int kWideUnit = 32;  // codes of 16 bytes

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
__global__ void __launch_bounds__(kWarps* kWarp, 2)
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

// An element a lane.
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

}  // namespace nibble::cuda
