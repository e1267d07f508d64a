// SPDX-License-Identifier: Apache-2.0
// The adapters' backward of ranks above 32, which reads dy once for each gradient: dB would not
// stay in registers beside dxa. Sums are made in a fixed order, no two blocks add to one number.
#include "kernels/cuda/adapter_parts.h"

namespace nibble::cuda {
namespace {

constexpr int kWarps = 4, kThreads = kWarps * kWarp;

// ---- dxa = scale dy B ----

// A block takes a few rows of one part and walks its outputs in chunks, of which each warp adds up
// a quarter; the warps' sums meet in shared memory.
template <int kRank>
struct InnerTiles {
  static constexpr int kRowTiles = 2, kRows = 16 * kRowTiles;
  static constexpr int kChunk = 128;
  static constexpr int kDyTile = kRows * kTileStride<kChunk>, kBTile = kChunk * kTileStride<kRank>;
  static constexpr size_t kSums = sizeof(float) * kWarps * kRows * kRank;
  static constexpr size_t kShared = std::max(2 * sizeof(Bf16) * (kDyTile + kBTile), kSums);
  static_assert(kShared <= kMostTileBytes);
};

template <int kRank>
__global__ void __launch_bounds__(kThreads)
    adapter_inner_gradient_kernel(Bf16Matrix dxa, Bf16Matrix dy, AdapterTable parts, int rows) {
  using Tiles = InnerTiles<kRank>;
  constexpr int kChunk = Tiles::kChunk, kColumns = kRank / 8, kShare = kChunk / kWarps;
  NIBBLE_DYNAMIC_SHARED(Bf16, dy_tiles);
  Bf16* const b_tiles = dy_tiles + 2 * Tiles::kDyTile;
  const AdapterTable::Part& part = parts.part[blockIdx.y];
  const int first_row = static_cast<int>(blockIdx.x) * Tiles::kRows;
  const auto load_chunk = [&](int first, int buffer) {
    load_tile<kChunk, Tiles::kRows, kThreads>(dy_tiles + buffer * Tiles::kDyTile,
                                              dy.data + part.column + first, dy.stride, first_row,
                                              rows, part.outputs - first);
    load_tile<kRank, kChunk, kThreads>(b_tiles + buffer * Tiles::kBTile, part.b, part.rank, first,
                                       part.outputs, part.rank);
    cp_async_commit();
  };
  const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / kWarp;
  float sums[Tiles::kRowTiles][kColumns][4] = {};
  load_chunk(0, 0);
  int buffer = 0;
  for (int first = 0; first < part.outputs; first += kChunk, buffer ^= 1) {
    if (first + kChunk < part.outputs) {
      load_chunk(first + kChunk, buffer ^ 1);
      cp_async_wait<1>();
    } else {
      cp_async_wait<0>();
    }
    __syncthreads();
    const Bf16* const dy_tile = dy_tiles + buffer * Tiles::kDyTile;
    const Bf16* const b_tile = b_tiles + buffer * Tiles::kBTile;
#pragma unroll
    for (int k = 0; k < kShare; k += 16) {
      uint32_t left[Tiles::kRowTiles][4];
#pragma unroll
      for (int t = 0; t < Tiles::kRowTiles; ++t)
        load_a<kChunk>(left[t], dy_tile, t * 16, warp * kShare + k);
#pragma unroll
      for (int c = 0; c < kColumns; c += 2) {
        uint32_t right[4];
        load_b_down<kRank>(right, b_tile, warp * kShare + k, c * 8);
#pragma unroll
        for (int t = 0; t < Tiles::kRowTiles; ++t)
          mma_pair(sums[t][c], sums[t][c + 1], left[t], right);
      }
    }
    __syncthreads();
  }
  // (warps, rows, rank): the last barrier freed the tiles.
  auto* const meeting = reinterpret_cast<float*>(dy_tiles);
#pragma unroll
  for (int t = 0; t < Tiles::kRowTiles; ++t)
#pragma unroll
    for (int c = 0; c < kColumns; ++c)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = t * 16 + lane / 4 + i / 2 * 8, column = c * 8 + lane % 4 * 2 + i % 2;
        meeting[(warp * Tiles::kRows + row) * kRank + column] = sums[t][c][i];
      }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x) * 8; i < Tiles::kRows * kRank; i += kThreads * 8) {
    const int row = first_row + i / kRank, column = i % kRank;
    if (row >= rows || column >= part.rank) continue;
    Floats<8> sum{};
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      const Floats<8> x = read<8>(meeting + w * Tiles::kRows * kRank + i);
#pragma unroll
      for (int k = 0; k < 8; ++k) sum.v[k] += x.v[k];
    }
#pragma unroll
    for (int k = 0; k < 8; ++k) sum.v[k] *= part.scale;
    write(dxa.data + row * dxa.stride + part.xa_column + column, sum);
  }
}

// ---- dB += scale dy^T xa ----

// A block takes 32 outputs and walks the rows in chunks, of which each warp adds up a quarter.
template <int kRank>
struct OuterTiles {
  static constexpr int kOutputs = 32, kShare = 32, kChunk = kShare * kWarps;
  static constexpr int kDyTile = kChunk * kTileStride<kOutputs>;
  static constexpr int kXaTile = kChunk * kTileStride<kRank>;
  static constexpr size_t kSums = sizeof(float) * kWarps * kOutputs * kRank;
  static constexpr size_t kShared = std::max(2 * sizeof(Bf16) * (kDyTile + kXaTile), kSums);
  static_assert(kShared <= kMostTileBytes);
};

template <int kRank>
__global__ void __launch_bounds__(kThreads)
    adapter_outer_gradient_kernel(Bf16Matrix dy, Bf16Matrix xa, AdapterTable parts, int rows) {
  using Tiles = OuterTiles<kRank>;
  constexpr int kColumns = kRank / 8, kOutputs = Tiles::kOutputs, kRowTiles = kOutputs / 16;
  NIBBLE_DYNAMIC_SHARED(Bf16, dy_tiles);
  Bf16* const xa_tiles = dy_tiles + 2 * Tiles::kDyTile;
  const AdapterTable::Part& part = parts.part[parts.of_block(static_cast<int>(blockIdx.x))];
  const int first_output = (static_cast<int>(blockIdx.x) - part.first_block) * kOutputs;
  const auto load_chunk = [&](int first, int buffer) {
    load_tile<kOutputs, Tiles::kChunk, kThreads>(dy_tiles + buffer * Tiles::kDyTile,
                                                 dy.data + part.column + first_output, dy.stride,
                                                 first, rows, part.outputs - first_output);
    load_tile<kRank, Tiles::kChunk, kThreads>(xa_tiles + buffer * Tiles::kXaTile,
                                              xa.data + part.xa_column, xa.stride, first, rows,
                                              part.rank);
    cp_async_commit();
  };
  const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / kWarp;
  float sums[kRowTiles][kColumns][4] = {};
  load_chunk(0, 0);
  int buffer = 0;
  for (int first = 0; first < rows; first += Tiles::kChunk, buffer ^= 1) {
    if (first + Tiles::kChunk < rows) {
      load_chunk(first + Tiles::kChunk, buffer ^ 1);
      cp_async_wait<1>();
    } else {
      cp_async_wait<0>();
    }
    __syncthreads();
    const Bf16* const dy_tile = dy_tiles + buffer * Tiles::kDyTile;
    const Bf16* const xa_tile = xa_tiles + buffer * Tiles::kXaTile;
#pragma unroll
    for (int k = 0; k < Tiles::kShare; k += 16) {
      uint32_t left[kRowTiles][4];
#pragma unroll
      for (int t = 0; t < kRowTiles; ++t)
        load_a_down<kOutputs>(left[t], dy_tile, warp * Tiles::kShare + k, t * 16);
#pragma unroll
      for (int c = 0; c < kColumns; c += 2) {
        uint32_t right[4];
        load_b_down<kRank>(right, xa_tile, warp * Tiles::kShare + k, c * 8);
#pragma unroll
        for (int t = 0; t < kRowTiles; ++t) mma_pair(sums[t][c], sums[t][c + 1], left[t], right);
      }
    }
    __syncthreads();
  }
  auto* const meeting = reinterpret_cast<float*>(dy_tiles);  // (warps, outputs, rank)
#pragma unroll
  for (int t = 0; t < kRowTiles; ++t)
#pragma unroll
    for (int c = 0; c < kColumns; ++c)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = t * 16 + lane / 4 + i / 2 * 8, column = c * 8 + lane % 4 * 2 + i % 2;
        meeting[(warp * kOutputs + row) * kRank + column] = sums[t][c][i];
      }
  __syncthreads();
  const int outputs = min(kOutputs, part.outputs - first_output);
  float* const db = part.db + static_cast<int64_t>(first_output) * part.rank;
  for (int i = static_cast<int>(threadIdx.x); i < outputs * part.rank; i += kThreads) {
    const int at = i / part.rank * kRank + i % part.rank;
    float sum = 0.0f;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) sum += meeting[w * kOutputs * kRank + at];
    db[i] += part.scale * sum;
  }
}

}  // namespace

void adapter_gradients(const AdapterBackward& op, Stream stream) {
  const auto rows = static_cast<int>(op.dy.dim(0));
  with_rank<64, kMostAdapterRank>(most_rank(op.parts), [&](auto rank) {
    constexpr int kRank = decltype(rank)::value;
    using Inner = InnerTiles<kRank>;
    using Outer = OuterTiles<kRank>;
    unsigned blocks = 0;
    const AdapterTable parts = adapter_table(op.parts, Outer::kOutputs, blocks);
    const cudaStream_t where = queue(stream).stream;
    launch(adapter_outer_gradient_kernel<kRank>,
           {.grid = dim3(blocks),
            .block = dim3(kThreads),
            .shared_bytes = Outer::kShared,
            .stream = where,
            .name = "adapter_backward"},
           bf16_matrix(op.dy), bf16_matrix(op.xa), parts, rows);
    launch(adapter_inner_gradient_kernel<kRank>,
           {.grid = dim3(blocks_for(rows, Inner::kRows), static_cast<unsigned>(parts.count)),
            .block = dim3(kThreads),
            .shared_bytes = Inner::kShared,
            .stream = where,
            .name = "adapter_backward"},
           bf16_matrix(op.dxa), bf16_matrix(op.dy), parts, rows);
  });
}

}  // namespace nibble::cuda
