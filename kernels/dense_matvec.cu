// SPDX-License-Identifier: Apache-2.0
// Few vectors times a dense matrix.
#include "kernels/cuda/matvec.h"
#include "kernels/cuda/twins.h"
#include "kernels/dequantize.h"

namespace nibble::cuda {
namespace {

template <class W>
struct DenseRows {
  const W* weight;
  int64_t stride;
  __device__ __forceinline__ float operator()(int64_t o, int64_t i) const {
    return to_f32(weight[o * stride + i]);
  }
};

// Eight neighbouring weights a lane.
template <class W>
struct DenseUnits {
  static constexpr int kCount = kUnit, kPitch = 128, kLeastLines = 0;
  using Row = const W*;
  using Read = Packed<W, kUnit>;
  const W* weight;
  int64_t stride;
  __device__ __forceinline__ Row row(int64_t o, int u) const {
    return weight + o * stride + static_cast<int64_t>(u) * kUnit;
  }
  __device__ __forceinline__ Row next(Row row) const { return row + kWarp * kUnit; }
  __device__ __forceinline__ Read read(Row row) const { return read_packed<kUnit>(row); }
  __device__ __forceinline__ void make_ready() const {}
  __device__ __forceinline__ Floats<kUnit> values(const Read& r, int) const { return widened(r); }
  __device__ __forceinline__ float scale(const Read&) const { return 1.0f; }
};

template <int kRows, int kOut, class T, class W>
__global__ void __launch_bounds__(kWarps* kWarp, 2)
    dense_matvec_kernel(Vectors<T> vectors, DenseUnits<W> weights, int tile, int64_t outputs) {
  NIBBLE_DYNAMIC_SHARED(unsigned char, staged);
  multiply_units<kRows, kOut>(vectors, weights, staged, tile,
                              static_cast<int64_t>(blockIdx.x) * kWarps * kOut, outputs);
}

// Of few outputs, an adapter's ranks: a block takes one, each thread eight columns in turn, so that
// there are blocks enough and no thread waits long for its weights.
constexpr int64_t kFewOutputs = 512;

template <int kRows, class T, class W>
__global__ void __launch_bounds__(kWarps* kWarp)
    few_outputs_kernel(Vectors<T> vectors, DenseUnits<W> weights) {
  __shared__ float sums[kRows][kWarps];
  const int64_t o = blockIdx.x;
  float sum[kRows] = {};
#pragma unroll 2
  for (int64_t i = threadIdx.x * kUnit; i < vectors.width; i += kWarps * kWarp * kUnit) {
    const Floats<kUnit> w = widened(read_packed<kUnit>(weights.weight + o * weights.stride + i));
#pragma unroll
    for (int m = 0; m < kRows; ++m) {
      const Floats<kUnit> x = vectors.unit(m, i);
#pragma unroll
      for (int k = 0; k < kUnit; ++k) sum[m] = fmaf(w.v[k], x.v[k], sum[m]);
    }
  }
#pragma unroll
  for (int m = 0; m < kRows; ++m) {
    sum[m] = warp_sum(sum[m]);
    if (threadIdx.x % kWarp == 0) sums[m][threadIdx.x / kWarp] = sum[m];
  }
  __syncthreads();
  const int m = static_cast<int>(threadIdx.x);
  if (m >= kRows) return;
  float all = 0.0f;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) all += sums[m][w];
  vectors.store(m, o, all);
}

}  // namespace

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
        const Tile tile = tile_of<kRows, T, DenseUnits<W>>(width);
        if (wide && outputs <= kFewOutputs)
          launch(few_outputs_kernel<kRows, T, W>,
                 {.grid = dim3(blocks_for(outputs, 1)),
                  .block = dim3(kWarps * kWarp),
                  .stream = queue(stream).stream,
                  .name = "dense_matvec"},
                 vectors, DenseUnits<W>{device_pointer<W>(op.weight), op.weight.row_stride});
        else if (wide)
          launch(dense_matvec_kernel<kRows, kOut, T, W>,
                 {.grid = dim3(blocks_for(outputs, kWarps * kOut)),
                  .block = dim3(kWarps * kWarp),
                  .shared_bytes = tile.bytes,
                  .stream = queue(stream).stream,
                  .name = "dense_matvec"},
                 vectors, DenseUnits<W>{device_pointer<W>(op.weight), op.weight.row_stride},
                 tile.units, outputs);
        else
          launch(each_matvec_kernel<kRows, T, DenseRows<W>>, each, vectors,
                 DenseRows<W>{device_pointer<W>(op.weight), op.weight.row_stride}, outputs);
      });
    });
  });
}

}  // namespace nibble::cuda
