// SPDX-License-Identifier: Apache-2.0
// Skinny products on mma.sync, all parts in one launch: what they cost is the reading of y or dy.
// Forward reads y once. Backward of ranks to 32 reads dy once, for both gradients; of greater ranks
// once for each. Sums are made in a fixed order, no two blocks add to one number.
#include "kernels/adapter.h"

#include <algorithm>

#include "kernels/cuda/attention_tiles.h"
#include "kernels/cuda/twins.h"

namespace nibble::cuda {
namespace {

constexpr int kMostParts = 4, kMostRank = 128;

struct Part {
  const Bf16* b;
  float* db;
  int outputs, rank;
  int column, xa_column;
  float scale;
  int first_block;   // along the outputs
  int inner, outer;  // where its sums begin among those of all blocks
};
struct Parts {
  Part part[kMostParts];
  int count = 0;
  __device__ __forceinline__ int of_block(int block) const {
    int at = 0;
    while (at + 1 < count && block >= part[at + 1].first_block) ++at;
    return at;
  }
};

struct Matrix {
  Bf16* data;
  int64_t stride;
};

// ---- y += scale xa B^T, or = ----

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
    adapter_forward_kernel(Matrix y, Matrix xa, Parts parts, int rows, bool adds) {
  NIBBLE_DYNAMIC_SHARED(Bf16, xa_tile);
  Bf16* const b_tile = xa_tile + kForwardTile * kTileStride<kRank>;
  const Part& part = parts.part[parts.of_block(static_cast<int>(blockIdx.x))];
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

// Rows [k, k + 16) and columns [column, column + 16) of a tile, transposed, as mma's first operand.
template <int kD>
__device__ __forceinline__ void load_a_down(uint32_t (&a)[4], const Bf16* tile, int k, int column) {
  const int lane = lane_id();
  ldmatrix_x4_trans(
      a, tile + (k + lane % 8 + lane / 16 * 8) * kTileStride<kD> + column + lane / 8 % 2 * 8);
}

// ---- dB += scale dy^T xa and dxa = scale dy B, of ranks to 32 ----

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
    adapter_backward_kernel(Matrix dy, Matrix xa, Parts parts, int rows, int rows_each,
                            float* inner, float* outer, int64_t outer_stride) {
  using Tiles = OnceTiles<kRank>;
  constexpr int kStages = Tiles::kStages, kColumns = kRank / 8, kTiles = kOnceShare / 16;
  NIBBLE_DYNAMIC_SHARED(Bf16, xa_tiles);
  Bf16* const dy_tiles = xa_tiles + kStages * Tiles::kXaTile;
  auto* const meeting = reinterpret_cast<float*>(dy_tiles + kStages * Tiles::kDyTile);
  Bf16* const b_tile = dy_tiles + (kStages - 1) * Tiles::kDyTile;
  const Part& part = parts.part[parts.of_block(static_cast<int>(blockIdx.x))];
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
        write(to + Tiles::place(lane / 4 + half * 8, c * 8 + lane % 4 * 2),
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
    adapter_sums_kernel(Matrix dxa, Parts parts, int rows, const float* inner, const float* outer,
                        int shares, int64_t outer_stride) {
  const Part& part = parts.part[blockIdx.y];
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

// ---- dxa = scale dy B, of greater ranks ----

// A block takes a few rows of one part and walks its outputs in chunks, of which each warp adds up
// a quarter; the warps' sums meet in shared memory.
constexpr int kBackwardWarps = 4, kBackwardThreads = kBackwardWarps * kWarp;

template <int kRank>
struct InnerTiles {
  static constexpr int kRowTiles = 2, kRows = 16 * kRowTiles;
  static constexpr int kChunk = 128;
  static constexpr int kDyTile = kRows * kTileStride<kChunk>, kBTile = kChunk * kTileStride<kRank>;
  static constexpr size_t kSums = sizeof(float) * kBackwardWarps * kRows * kRank;
  static constexpr size_t kShared = std::max(2 * sizeof(Bf16) * (kDyTile + kBTile), kSums);
  static_assert(kShared <= kMostTileBytes);
};

template <int kRank>
__global__ void __launch_bounds__(kBackwardThreads)
    adapter_inner_gradient_kernel(Matrix dxa, Matrix dy, Parts parts, int rows) {
  using Tiles = InnerTiles<kRank>;
  constexpr int kChunk = Tiles::kChunk, kColumns = kRank / 8, kShare = kChunk / kBackwardWarps;
  NIBBLE_DYNAMIC_SHARED(Bf16, dy_tiles);
  Bf16* const b_tiles = dy_tiles + 2 * Tiles::kDyTile;
  const Part& part = parts.part[blockIdx.y];
  const int first_row = static_cast<int>(blockIdx.x) * Tiles::kRows;
  const auto load_chunk = [&](int first, int buffer) {
    load_tile<kChunk, Tiles::kRows, kBackwardThreads>(dy_tiles + buffer * Tiles::kDyTile,
                                                      dy.data + part.column + first, dy.stride,
                                                      first_row, rows, part.outputs - first);
    load_tile<kRank, kChunk, kBackwardThreads>(b_tiles + buffer * Tiles::kBTile, part.b, part.rank,
                                               first, part.outputs, part.rank);
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
  for (int i = static_cast<int>(threadIdx.x) * 8; i < Tiles::kRows * kRank;
       i += kBackwardThreads * 8) {
    const int row = first_row + i / kRank, column = i % kRank;
    if (row >= rows || column >= part.rank) continue;
    Floats<8> sum{};
#pragma unroll
    for (int w = 0; w < kBackwardWarps; ++w) {
      const Floats<8> x = read<8>(meeting + w * Tiles::kRows * kRank + i);
#pragma unroll
      for (int k = 0; k < 8; ++k) sum.v[k] += x.v[k];
    }
#pragma unroll
    for (int k = 0; k < 8; ++k) sum.v[k] *= part.scale;
    write(dxa.data + row * dxa.stride + part.xa_column + column, sum);
  }
}

// ---- dB += scale dy^T xa, of greater ranks ----

// A block takes 32 outputs and walks the rows in chunks, of which each warp adds up a quarter.
template <int kRank>
struct OuterTiles {
  static constexpr int kOutputs = 32, kShare = 32, kChunk = kShare * kBackwardWarps;
  static constexpr int kDyTile = kChunk * kTileStride<kOutputs>;
  static constexpr int kXaTile = kChunk * kTileStride<kRank>;
  static constexpr size_t kSums = sizeof(float) * kBackwardWarps * kOutputs * kRank;
  static constexpr size_t kShared = std::max(2 * sizeof(Bf16) * (kDyTile + kXaTile), kSums);
  static_assert(kShared <= kMostTileBytes);
};

template <int kRank>
__global__ void __launch_bounds__(kBackwardThreads)
    adapter_outer_gradient_kernel(Matrix dy, Matrix xa, Parts parts, int rows) {
  using Tiles = OuterTiles<kRank>;
  constexpr int kColumns = kRank / 8, kOutputs = Tiles::kOutputs, kRowTiles = kOutputs / 16;
  NIBBLE_DYNAMIC_SHARED(Bf16, dy_tiles);
  Bf16* const xa_tiles = dy_tiles + 2 * Tiles::kDyTile;
  const Part& part = parts.part[parts.of_block(static_cast<int>(blockIdx.x))];
  const int first_output = (static_cast<int>(blockIdx.x) - part.first_block) * kOutputs;
  const auto load_chunk = [&](int first, int buffer) {
    load_tile<kOutputs, Tiles::kChunk, kBackwardThreads>(
        dy_tiles + buffer * Tiles::kDyTile, dy.data + part.column + first_output, dy.stride, first,
        rows, part.outputs - first_output);
    load_tile<kRank, Tiles::kChunk, kBackwardThreads>(xa_tiles + buffer * Tiles::kXaTile,
                                                      xa.data + part.xa_column, xa.stride, first,
                                                      rows, part.rank);
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
  for (int i = static_cast<int>(threadIdx.x); i < outputs * part.rank; i += kBackwardThreads) {
    const int at = i / part.rank * kRank + i % part.rank;
    float sum = 0.0f;
#pragma unroll
    for (int w = 0; w < kBackwardWarps; ++w) sum += meeting[w * kOutputs * kRank + at];
    db[i] += part.scale * sum;
  }
}

bool in_chunks(const Tensor& t) {
  return t.dtype == Dtype::kBf16 && wide_rows(t, 8, 8);
}

// Whether the kernels can read all of it 16 bytes at a time.
bool fits(const Tensor& y, const Tensor& xa, std::span<const AdapterPart> parts) {
  const auto fit = [](const AdapterPart& p) {
    const int64_t o = p.b.dim(0), r = p.b.dim(1);
    return in_chunks(p.b) && o % 8 == 0 && r % 8 == 0 && r > 0 && r <= kMostRank &&
           p.column % 8 == 0 && o > 0 && o <= INT32_MAX - kForwardTile;
  };
  return in_chunks(y) && in_chunks(xa) && std::ssize(parts) <= kMostParts &&
         y.dim(0) <= INT32_MAX - kForwardTile && y.dim(1) <= INT32_MAX &&
         std::all_of(parts.begin(), parts.end(), fit);
}

// The parts, cut into blocks of so many outputs; sets the blocks they make.
Parts make_parts(std::span<const AdapterPart> from, int each, unsigned& blocks) {
  Parts parts;
  int xa_column = 0;
  blocks = 0;
  for (const AdapterPart& p : from) {
    const auto o = static_cast<int>(p.b.dim(0)), r = static_cast<int>(p.b.dim(1));
    parts.part[parts.count++] = {.b = device_pointer<Bf16>(p.b),
                                 .db = device_pointer<float>(p.db),
                                 .outputs = o,
                                 .rank = r,
                                 .column = static_cast<int>(p.column),
                                 .xa_column = xa_column,
                                 .scale = p.scale,
                                 .first_block = static_cast<int>(blocks)};
    blocks += blocks_for(o, each);
    xa_column += r;
  }
  return parts;
}

Matrix matrix(const Tensor& t) {
  return {device_pointer<Bf16>(t), t.row_stride};
}

int most_rank(std::span<const AdapterPart> parts) {
  int64_t most = 0;
  for (const AdapterPart& p : parts) most = std::max(most, p.b.dim(1));
  return static_cast<int>(most);
}

// body(integral_constant), the first of kRanks that holds all ranks.
template <int kRank, int... kMore, class Body>
void with_rank(int most, const Body& body) {
  if constexpr (sizeof...(kMore) > 0)
    if (most > kRank) return with_rank<kMore...>(most, body);
  body(std::integral_constant<int, kRank>());
}

void backward_once(const AdapterBackward& op, const AdapterShares& shares, Stream stream) {
  const Queue& q = queue(stream);
  const auto all = static_cast<int>(op.dy.dim(0)), at_once = static_cast<int>(shares.rows);
  unsigned tiles = 0;
  Parts parts = make_parts(op.parts, kOnceOutputs, tiles);
  for (int first = 0; first < all; first += at_once) {
    const int rows = std::min(at_once, all - first);
    const auto rows_each = static_cast<int>(shares.rows_each);
    const unsigned count = blocks_for(rows, rows_each);
    const auto from = [first](Matrix m) { return Matrix{m.data + first * m.stride, m.stride}; };
    unsigned blocks = 0;
    int64_t inner = 0, outer = 0;
    for (int i = 0; i < parts.count; ++i) {
      Part& p = parts.part[i];
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
             from(matrix(op.dy)), from(matrix(op.xa)), parts, rows, rows_each, inner_sums,
             outer_sums, outer);
    });
    launch(adapter_sums_kernel,
           {.grid = dim3(blocks, static_cast<unsigned>(parts.count), 2),
            .block = dim3(kSumThreads),
            .stream = q.stream,
            .name = "adapter_backward"},
           from(matrix(op.dxa)), parts, rows, inner_sums, outer_sums, static_cast<int>(count),
           outer);
  }
}

}  // namespace

void adapter_forward(const AdapterForward& op, Stream stream) {
  if (!fits(op.y, op.xa, op.parts)) return adapter_products(op, stream);
  const auto rows = static_cast<int>(op.y.dim(0));
  unsigned blocks = 0;
  const Parts parts = make_parts(op.parts, kForwardTile, blocks);
  if (rows == 0 || blocks == 0) return;
  with_rank<16, 32, 64, kMostRank>(most_rank(op.parts), [&](auto rank) {
    constexpr int kRank = decltype(rank)::value;
    constexpr size_t kShared = 2 * kTileBytes<kRank, kForwardTile>;
    static_assert(kShared <= kMostTileBytes);
    launch(adapter_forward_kernel<kRank>,
           {.grid = dim3(blocks, blocks_for(rows, kForwardTile)),
            .block = dim3(kForwardThreads),
            .shared_bytes = kShared,
            .stream = queue(stream).stream,
            .name = "adapter_forward"},
           matrix(op.y), matrix(op.xa), parts, rows, op.output == AdapterForward::Output::kAdd);
  });
}

void adapter_backward(const AdapterBackward& op, Stream stream) {
  if (!fits(op.dy, op.xa, op.parts) || !in_chunks(op.dxa)) return adapter_products(op, stream);
  const auto rows = static_cast<int>(op.dy.dim(0));
  if (rows == 0 || op.parts.empty()) return;
  const AdapterShares shares = adapter_shares(op.parts, rows);
  if (shares.rows > 0) return backward_once(op, shares, stream);
  with_rank<64, kMostRank>(most_rank(op.parts), [&](auto rank) {
    constexpr int kRank = decltype(rank)::value;
    using Inner = InnerTiles<kRank>;
    using Outer = OuterTiles<kRank>;
    unsigned blocks = 0;
    const Parts parts = make_parts(op.parts, Outer::kOutputs, blocks);
    const cudaStream_t where = queue(stream).stream;
    launch(adapter_outer_gradient_kernel<kRank>,
           {.grid = dim3(blocks),
            .block = dim3(kBackwardThreads),
            .shared_bytes = Outer::kShared,
            .stream = where,
            .name = "adapter_backward"},
           matrix(op.dy), matrix(op.xa), parts, rows);
    launch(adapter_inner_gradient_kernel<kRank>,
           {.grid = dim3(blocks_for(rows, Inner::kRows), static_cast<unsigned>(parts.count)),
            .block = dim3(kBackwardThreads),
            .shared_bytes = Inner::kShared,
            .stream = where,
            .name = "adapter_backward"},
           matrix(op.dxa), matrix(op.dy), parts, rows);
  });
}

}  // namespace nibble::cuda
