// SPDX-License-Identifier: Apache-2.0
// Skinny products on mma.sync, all parts in one launch: what they cost is the reading of dy. Ranks
// to 32 read it once, for both gradients:
//   dB += scale dy^T xa,  dxa = scale dy B
// Sums are made in a fixed order, no two blocks add to one number.
#include "kernels/cuda/adapter_parts.h"
#include "kernels/cuda/twins.h"

namespace nibble::cuda {
namespace {

// A block takes 512 outputs of one part and a share of the rows, which it walks in sixteens: its dB
// stays in registers, a warp's 64 outputs, and B too; what its outputs give dxa meets in shared
// memory. Both go to the stream's workspace as sums of one block, and a second kernel adds up the
// blocks' sums in their order. Wide tiles and few shares keep these sums small beside dy: of rank
// 16, 12% of dxa's, and for each share of 2048 rows 3% of dB's.
constexpr int kOnceOutputs = kAdapterTile, kOnceWarps = 8, kOnceThreads = kOnceWarps * kWarp;
constexpr int kOnceRows = 16, kOnceShare = kOnceOutputs / kOnceWarps;

template <int kRank>
struct OnceTiles {
  static constexpr int kStages = kRank <= 16 ? 4 : 3;
  static constexpr int kDyTile = kOnceRows * kTileStride<kOnceOutputs>;
  static constexpr int kXaTile = kOnceRows * kTileStride<kRank>;
  static constexpr int kMeeting = kOnceWarps * kOnceRows * kRank;  // floats, of which there are two
  static constexpr size_t kShared =
      sizeof(Bf16) * kStages * (kDyTile + kXaTile) + sizeof(float) * 2 * kMeeting;
  static_assert(kShared <= kMostTileBytes);
  // B passes through the last stage and the meeting.
  static_assert(sizeof(Bf16) * kOnceOutputs * kTileStride<kRank> <=
                sizeof(Bf16) * kDyTile + sizeof(float) * 2 * kMeeting);

  // Where a warp's sum lies in the meeting: neighbouring rows are turned against each other, so
  // that the eight rows that a warp writes at a time lie in different banks.
  __device__ static __forceinline__ int place(int row, int column) {
    return row * kRank + (column ^ row / (32 / kRank) % (kRank / 8) * 8);
  }
};

template <int kRank>
__global__ void __launch_bounds__(kOnceThreads)
    adapter_backward_kernel(Bf16Matrix dy, Bf16Matrix xa, AdapterTable parts, int rows,
                            int rows_each, float* inner, float* outer, int64_t outer_stride) {
  using Tiles = OnceTiles<kRank>;
  constexpr int kStages = Tiles::kStages, kColumns = kRank / 8, kTiles = kOnceShare / 16;
  NIBBLE_DYNAMIC_SHARED(Bf16, xa_tiles);
  Bf16* const dy_tiles = xa_tiles + kStages * Tiles::kXaTile;
  auto* const meeting = reinterpret_cast<float*>(dy_tiles + kStages * Tiles::kDyTile);
  Bf16* const b_tile = dy_tiles + (kStages - 1) * Tiles::kDyTile;
  const AdapterTable::Part& part = parts.part[parts.of_block(static_cast<int>(blockIdx.x))];
  const int tile = static_cast<int>(blockIdx.x) - part.first_block;
  const int first_output = tile * kOnceOutputs;
  const int begin = static_cast<int>(blockIdx.y) * rows_each, end = min(begin + rows_each, rows);
  const int chunks = (end - begin + kOnceRows - 1) / kOnceRows;
  const auto load_chunk = [&](int chunk) {
    if (chunk < chunks) {
      const int stage = chunk % kStages, first = begin + chunk * kOnceRows;
      load_tile<kOnceOutputs, kOnceRows, kOnceThreads>(
          dy_tiles + stage * Tiles::kDyTile, dy.data + part.column + first_output, dy.stride, first,
          end, part.outputs - first_output);
      load_tile<kRank, kOnceRows, kOnceThreads>(xa_tiles + stage * Tiles::kXaTile,
                                                xa.data + part.xa_column, xa.stride, first, end,
                                                part.rank);
    }
    cp_async_commit();
  };
  load_tile<kRank, kOnceOutputs, kOnceThreads>(b_tile, part.b, part.rank, first_output,
                                               part.outputs, part.rank);
  cp_async_commit();
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) load_chunk(i);
  cp_async_wait<kStages - 1>();
  __syncthreads();
  const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / kWarp;
  uint32_t b[kTiles][kColumns / 2][4];
#pragma unroll
  for (int t = 0; t < kTiles; ++t)
#pragma unroll
    for (int c = 0; c < kColumns; c += 2)
      load_b_down<kRank>(b[t][c / 2], b_tile, warp * kOnceShare + t * 16, c * 8);

  // Adds up the warps' sums of a chunk.
  const auto add_up = [&](int chunk) {
    const float* const from = meeting + chunk % 2 * Tiles::kMeeting;
    for (int i = static_cast<int>(threadIdx.x); i < kOnceRows * kRank; i += kOnceThreads) {
      const int row = begin + chunk * kOnceRows + i / kRank, column = i % kRank;
      if (row >= end || column >= part.rank) continue;
      float sum = 0.0f;
#pragma unroll
      for (int w = 0; w < kOnceWarps; ++w)
        sum += from[w * kOnceRows * kRank + Tiles::place(i / kRank, column)];
      inner[part.inner + (static_cast<int64_t>(tile) * rows + row) * part.rank + column] = sum;
    }
  };

  float db[kTiles][kColumns][4] = {};
  for (int chunk = 0; chunk < chunks; ++chunk) {
    cp_async_wait<kStages - 2>();
    __syncthreads();  // the chunk is there, the one before it has been used and its sums have met
    load_chunk(chunk + kStages - 1);
    if (chunk > 0) add_up(chunk - 1);
    const Bf16* const dy_tile = dy_tiles + chunk % kStages * Tiles::kDyTile;
    const Bf16* const xa_tile = xa_tiles + chunk % kStages * Tiles::kXaTile;
    uint32_t down[kColumns / 2][4];
#pragma unroll
    for (int c = 0; c < kColumns; c += 2) load_b_down<kRank>(down[c / 2], xa_tile, 0, c * 8);
    float dxa[kColumns][4] = {};
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
      const int column = warp * kOnceShare + t * 16;
      uint32_t left[4];
      load_a<kOnceOutputs>(left, dy_tile, 0, column);
#pragma unroll
      for (int c = 0; c < kColumns; c += 2) mma_pair(dxa[c], dxa[c + 1], left, b[t][c / 2]);
      load_a_down<kOnceOutputs>(left, dy_tile, 0, column);
#pragma unroll
      for (int c = 0; c < kColumns; c += 2) mma_pair(db[t][c], db[t][c + 1], left, down[c / 2]);
    }
    float* const to = meeting + chunk % 2 * Tiles::kMeeting + warp * kOnceRows * kRank;
#pragma unroll
    for (int c = 0; c < kColumns; ++c)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        write<Space::kShared>(to + Tiles::place(lane / 4 + half * 8, c * 8 + lane % 4 * 2),
                              Floats<2>{dxa[c][2 * half], dxa[c][2 * half + 1]});
  }
  __syncthreads();
  add_up(chunks - 1);

  float* const sums = outer + static_cast<int64_t>(blockIdx.y) * outer_stride + part.outer;
#pragma unroll
  for (int t = 0; t < kTiles; ++t)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int output = first_output + warp * kOnceShare + t * 16 + lane / 4 + half * 8;
      if (output >= part.outputs) continue;
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const int column = c * 8 + lane % 4 * 2;
        if (column < part.rank)
          write(sums + static_cast<int64_t>(output) * part.rank + column,
                Floats<2>{db[t][c][2 * half], db[t][c][2 * half + 1]});
      }
    }
}

// Adds up the blocks' sums: of dxa four lanes share four numbers, of dB a thread has one. Blocks
// are (numbers, parts, dxa and dB).
constexpr int kSumThreads = 256, kSumLanes = 4, kSumEach = 4;

__global__ void __launch_bounds__(kSumThreads)
    adapter_sums_kernel(Bf16Matrix dxa, AdapterTable parts, int rows, const float* inner,
                        const float* outer, int shares, int64_t outer_stride) {
  const AdapterTable::Part& part = parts.part[blockIdx.y];
  const auto block = static_cast<int64_t>(blockIdx.x);
  if (blockIdx.z == 0) {
    constexpr int kItems = kWarp / kSumLanes, kOfBlock = kSumThreads / kSumLanes;
    const int64_t items = static_cast<int64_t>(rows) * part.rank / kSumEach;
    if (block * kOfBlock >= items) return;
    const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / kWarp;
    const int64_t item = block * kOfBlock + warp * kItems + lane % kItems;
    const int tiles = (part.outputs + kOnceOutputs - 1) / kOnceOutputs;
    Floats<kSumEach> sum{};
    if (item < items)
      for (int t = lane / kItems; t < tiles; t += kSumLanes) {
        const auto x = read<kSumEach>(inner + part.inner + (t * items + item) * kSumEach);
#pragma unroll
        for (int i = 0; i < kSumEach; ++i) sum.v[i] += x.v[i];
      }
#pragma unroll
    for (int step = kItems; step < kWarp; step *= 2)
#pragma unroll
      for (int i = 0; i < kSumEach; ++i) sum.v[i] += __shfl_xor_sync(kAllLanes, sum.v[i], step);
    if (lane >= kItems || item >= items) return;
#pragma unroll
    for (int i = 0; i < kSumEach; ++i) sum.v[i] *= part.scale;
    const int64_t row = item / (part.rank / kSumEach);
    const int column = static_cast<int>(item % (part.rank / kSumEach)) * kSumEach;
    write(dxa.data + row * dxa.stride + part.xa_column + column, sum);
    return;
  }
  const int64_t i = block * kSumThreads + static_cast<int>(threadIdx.x);
  if (i >= static_cast<int64_t>(part.outputs) * part.rank) return;
  float sum = 0.0f;
  for (int s = 0; s < shares; ++s) sum += outer[s * outer_stride + part.outer + i];
  part.db[i] += part.scale * sum;
}

void backward_once(const AdapterBackward& op, const AdapterShares& shares, Stream stream) {
  const Queue& q = queue(stream);
  const auto all = static_cast<int>(op.dy.dim(0)), at_once = static_cast<int>(shares.rows);
  unsigned tiles = 0;
  AdapterTable parts = adapter_table(op.parts, kOnceOutputs, tiles);
  for (int first = 0; first < all; first += at_once) {
    const int rows = std::min(at_once, all - first);
    const auto rows_each = static_cast<int>(shares.rows_each);
    const unsigned count = blocks_for(rows, rows_each);
    const auto from = [first](Bf16Matrix m) {
      return Bf16Matrix{m.data + first * m.stride, m.stride};
    };
    unsigned blocks = 0;
    int64_t inner = 0, outer = 0;
    for (int i = 0; i < parts.count; ++i) {
      AdapterTable::Part& p = parts.part[i];
      const int64_t numbers = int64_t{rows} * p.rank, weights = int64_t{p.outputs} * p.rank;
      p.inner = static_cast<int>(inner);
      p.outer = static_cast<int>(outer);
      inner += blocks_for(p.outputs, kOnceOutputs) * numbers;
      outer += weights;
      blocks = std::max({blocks, blocks_for(numbers, kSumThreads / kSumLanes * kSumEach),
                         blocks_for(weights, kSumThreads)});
    }
    auto* const inner_sums = static_cast<float*>(q.workspace);
    float* const outer_sums = inner_sums + inner;
    with_rank<16, 32>(most_rank(op.parts), [&](auto rank) {
      constexpr int kRank = decltype(rank)::value;
      launch(adapter_backward_kernel<kRank>,
             {.grid = dim3(tiles, count),
              .block = dim3(kOnceThreads),
              .shared_bytes = OnceTiles<kRank>::kShared,
              .stream = q.stream,
              .name = "adapter_backward"},
             from(bf16_matrix(op.dy)), from(bf16_matrix(op.xa)), parts, rows, rows_each, inner_sums,
             outer_sums, outer);
    });
    launch(adapter_sums_kernel,
           {.grid = dim3(blocks, static_cast<unsigned>(parts.count), 2),
            .block = dim3(kSumThreads),
            .stream = q.stream,
            .name = "adapter_backward"},
           from(bf16_matrix(op.dxa)), parts, rows, inner_sums, outer_sums, static_cast<int>(count),
           outer);
  }
}

}  // namespace

void adapter_backward(const AdapterBackward& op, Stream stream) {
  if (!adapters_fit(op.dy, op.xa, op.parts) || !in_chunks(op.dxa))
    return adapter_products(op, stream);
  const auto rows = static_cast<int>(op.dy.dim(0));
  if (rows == 0 || op.parts.empty()) return;
  const AdapterShares shares = adapter_shares(op.parts, rows);
  if (shares.rows > 0)
    backward_once(op, shares, stream);
  else
    adapter_gradients(op, stream);
}

}  // namespace nibble::cuda
