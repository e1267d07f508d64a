// SPDX-License-Identifier: Apache-2.0
// Few vectors times 4- and 8-bit matrices, from the codes as they are stored.
#include "kernels/cuda/codes.h"
#include "kernels/cuda/matvec.h"
#include "kernels/cuda/twins.h"

namespace nibble::cuda {
namespace {

constexpr int kWideUnit = 32;  // codes of 16 bytes

// Two weights by a byte of codes: in shared memory, kPitch bytes for each of the 256 bytes, of
// which the first half is the pair sixteen times over, so that each lane of half a warp, which is
// what reads 8 bytes at once, meets its own banks whatever the codes are. The pitch makes the
// address of a pair one instruction: the byte above the lane's place.
constexpr int kBytes = 256, kPitch = 256;
using Pair = Packed<float, 2>;

__device__ __forceinline__ void make_pairs(unsigned char* table, const float* book) {
  static_assert(kWarps * kWarp == kBytes);
  const uint32_t byte = threadIdx.x;
  const float high = book[byte >> 4], low = book[byte & 15u];
  for (uint32_t i = 0; i < 8; ++i)
    store_shared(reinterpret_cast<Packed<float, 4>*>(table + byte * kPitch + (i + byte) % 8 * 16),
                 Packed<float, 4>{high, low, high, low});
}

// Four bits, kWeights codes a read: rows and blocks are multiples of them, reads aligned.
// Instructions of a weight, at least: half a look-up, half its address, a product; and of four rows
// that share them a quarter of widening the vector. Look-ups bind: shared memory gives a processor
// 32 floats a cycle, a weight each.
template <int kWeights, bool kNested>
struct CodeUnits {
  static constexpr int kCount = kWeights, kPitch = cuda::kPitch, kLeastLines = kBytes;
  struct alignas(kWeights / 2) Words {
    uint32_t word[kWeights / 8];
  };
  using Row = uint32_t;  // of the matrix's units
  struct Read {
    Words words;
    StoredScale<kNested> scale;
  };
  Codes codes;
  int64_t width;
  unsigned char* table;
  float* map;
  int block_shift;  // in units
  __device__ __forceinline__ Row row(int64_t o, int u) const {
    return static_cast<uint32_t>(o * (width / kWeights) + u);
  }
  __device__ __forceinline__ Row next(Row row) const { return row + kWarp; }
  __device__ __forceinline__ Read read(Row row) const {
    return {load_streaming(reinterpret_cast<const Words*>(codes.codes) + row),
            codes.stored_scale<kNested>(row >> block_shift)};
  }
  __device__ __forceinline__ void make_ready() const {
    make_pairs(table, codes.book);
    if constexpr (kNested) map[threadIdx.x] = codes.nested_map[threadIdx.x];
  }
  __device__ __forceinline__ Floats<kUnit> values(const Read& r, int e) const {
    const uint32_t slot = threadIdx.x % 16 * sizeof(Pair), word = r.words.word[e / kUnit];
    Floats<kUnit> w;
#pragma unroll
    for (uint32_t i = 0; i < kUnit / 2; ++i) {
      const uint32_t at = __byte_perm(word, slot, 0x5504u | i << 4);
      const Pair pair = load(reinterpret_cast<const Pair*>(table + at));
      w.v[2 * i] = pair.element[0];
      w.v[2 * i + 1] = pair.element[1];
    }
    return w;
  }
  __device__ __forceinline__ float scale(const Read& r) const {
    Codes of_block = codes;
    of_block.nested_map = map;
    return of_block.scale(r.scale);
  }
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

template <int kRows, int kOut, int kWeights, bool kNested, class T>
__global__ void __launch_bounds__(kWarps* kWarp, 2)
    codes_matvec_kernel(Vectors<T> vectors, CodeParts parts, int tile) {
  NIBBLE_DYNAMIC_SHARED(unsigned char, table);
  __shared__ float map[kNested ? 256 : 1];
  int part = 0;
  while (part + 1 < parts.count && blockIdx.x >= parts.first_block[part + 1]) ++part;
  const Codes& codes = parts.codes[part];
  const CodeUnits<kWeights, kNested> weights = {
      codes, vectors.width, table, map,
      codes.block_shift - std::countr_zero(static_cast<unsigned>(kWeights))};
  vectors.out = vectors.at(parts.first_output[part]);
  const int64_t block = blockIdx.x - parts.first_block[part];
  multiply_units<kRows, kOut>(vectors, weights, table, tile, block * kWarps * kOut,
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
    body(std::integral_constant < int, kRows <= 2 ? 4 : 2 > ());
  else
    body(std::integral_constant<int, 1>());
}

// Whether codes can be read so many at a time, their scales with a shift.
bool in_units(const QuantizedMatrix& m, int count) {
  return m.type != QuantType::kInt8 && m.in_features % count == 0 && m.block % count == 0 &&
         m.out_features * (m.in_features / count) <= UINT32_MAX &&
         (m.absmax || std::has_single_bit(static_cast<uint64_t>(m.nested_block))) &&
         reinterpret_cast<uintptr_t>(m.codes) % static_cast<uintptr_t>(count / 2) == 0;
}

// Up to kMostParts matrices that are read in units of eight, scales of all nested or of none, in
// one launch a sweep.
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
      const auto run = [&](auto unit, auto nested) {
        constexpr int kWeights = decltype(unit)::value;
        constexpr bool kNested = decltype(nested)::value;
        const Tile tile = tile_of<kRows, T, CodeUnits<kWeights, kNested>>(vectors.width);
        launch(codes_matvec_kernel<kRows, kOut, kWeights, kNested, T>,
               {.grid = dim3(blocks),
                .block = dim3(kWarps * kWarp),
                .shared_bytes = tile.bytes,
                .stream = queue(stream).stream,
                .name = "quantized_matvec"},
               vectors, parts, tile.units);
      };
      const auto in = [&](auto unit) {
        if (matrices[0].absmax)
          run(unit, std::false_type());
        else
          run(unit, std::true_type());
      };
      if (wide)
        in(std::integral_constant<int, kWideUnit>());
      else
        in(std::integral_constant<int, kUnit>());
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
      const bool plain = op.matrices[i].absmax != nullptr;
      for (; end < op.matrices.size() && end - i < kMostParts &&
             in_units(op.matrices[end], kUnit) && (op.matrices[end].absmax != nullptr) == plain;
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
