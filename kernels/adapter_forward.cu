// SPDX-License-Identifier: Apache-2.0
// A skinny product on mma.sync, all parts in one launch: what it costs is the reading of y, once.
#include "kernels/cuda/adapter_parts.h"
#include "kernels/cuda/twins.h"

namespace nibble::cuda {
namespace {

// A block takes 128 rows and 128 outputs, a warp 16 rows.
constexpr int kForwardTile = 128, kForwardThreads = 256;

// Where row `row` of B lies in its tile: of every 32, those that one lane will hold in its four
// products of eight columns become neighbours in y, so that y is moved 16 bytes at a time.
__device__ __forceinline__ int spread_row(int row) {
  const int within = row % 32;
  return row - within + within / 2 % 4 * 8 + within / 8 * 2 + within % 2;
}

template <int kRank>
__global__ void __launch_bounds__(kForwardThreads)
    adapter_forward_kernel(Bf16Matrix y, Bf16Matrix xa, AdapterTable parts, int rows, bool adds) {
  NIBBLE_DYNAMIC_SHARED(Bf16, xa_tile);
  Bf16* const b_tile = xa_tile + kForwardTile * kTileStride<kRank>;
  const AdapterTable::Part& part = parts.part[parts.of_block(static_cast<int>(blockIdx.x))];
  const int first_output = (static_cast<int>(blockIdx.x) - part.first_block) * kForwardTile;
  const int first_row = static_cast<int>(blockIdx.y) * kForwardTile;
  load_tile<kRank, kForwardTile, kForwardThreads>(xa_tile, xa.data + part.xa_column, xa.stride,
                                                  first_row, rows, part.rank);
  constexpr int kChunks = kRank / 8;
  for (int i = static_cast<int>(threadIdx.x); i < kForwardTile * kChunks; i += kForwardThreads) {
    const int row = i / kChunks, column = i % kChunks * 8;
    const bool valid = first_output + row < part.outputs && column < part.rank;
    const int64_t at = static_cast<int64_t>(first_output + row) * part.rank + column;
    cp_async16(b_tile + spread_row(row) * kTileStride<kRank> + column, valid ? part.b + at : part.b,
               valid);
  }
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
  const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / kWarp;
#pragma unroll
  for (int group = 0; group < kForwardTile; group += 32) {
    float sums[4][4];
    multiply_rows<kRank, 4>(sums, xa_tile, warp * 16, b_tile, group);
    const int output = first_output + group + lane % 4 * 8;
    if (output >= part.outputs) continue;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = first_row + warp * 16 + lane / 4 + half * 8;
      if (row >= rows) continue;
      Bf16* const place = y.data + row * y.stride + part.column + output;
      Floats<8> x{};
      if (adds) x = read<8>(place);
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int i = 0; i < 2; ++i) x.v[2 * j + i] += part.scale * sums[j][2 * half + i];
      write(place, x);
    }
  }
}

}  // namespace

void adapter_forward(const AdapterForward& op, Stream stream) {
  if (!adapters_fit(op.y, op.xa, op.parts)) return adapter_products(op, stream);
  const auto rows = static_cast<int>(op.y.dim(0));
  unsigned blocks = 0;
  const AdapterTable parts = adapter_table(op.parts, kForwardTile, blocks);
  if (rows == 0 || blocks == 0) return;
  with_rank<16, 32, 64, kMostAdapterRank>(most_rank(op.parts), [&](auto rank) {
    constexpr int kRank = decltype(rank)::value;
    constexpr size_t kShared = 2 * kTileBytes<kRank, kForwardTile>;
    static_assert(kShared <= kMostTileBytes);
    launch(adapter_forward_kernel<kRank>,
           {.grid = dim3(blocks, blocks_for(rows, kForwardTile)),
            .block = dim3(kForwardThreads),
            .shared_bytes = kShared,
            .stream = queue(stream).stream,
            .name = "adapter_forward"},
           bf16_matrix(op.y), bf16_matrix(op.xa), parts, rows,
           op.output == AdapterForward::Output::kAdd);
  });
}

}  // namespace nibble::cuda
