// SPDX-License-Identifier: Apache-2.0
// Skinny products on mma.sync whose results are dropped before they are added up. Drawing masks is
// what takes long, some 20 instructions an element and part; dx is read and written beside it.
#include "kernels/adapter_dropout.h"

#include <algorithm>

#include "kernels/cuda/adapter_parts.h"
#include "kernels/cuda/draws.h"
#include "kernels/cuda/twins.h"

namespace nibble::cuda {
namespace {

// A block takes 128 rows and 128 columns of dx, a warp 16 rows.
constexpr int kThreads = 256, kRows = 128, kColumns = 128;

struct Part {
  const Bf16* a;
  uint64_t stream;
  int rank, xa_column;
};
struct Parts {
  Part part[kMostAdapters];
  int count = 0;
};

template <int kRank>
struct DropoutTiles {
  static constexpr int kXa = kRows * kTileStride<kRank>, kA = kRank * kTileStride<kColumns>;
  static constexpr int kPart = kXa + kA;
  static constexpr size_t kPartBytes = sizeof(Bf16) * kPart;
  static constexpr int kMostParts =
      std::min(kMostAdapters, static_cast<int>(kMostTileBytes / kPartBytes));
  static_assert(kMostParts > 0);
};

// Where a pair of A's columns lies in its tile: of every 16, those that one lane will hold in its
// four products of eight columns become neighbours in dx, so that dx is moved 16 bytes at a time.
__device__ __forceinline__ int spread_pair(int pair) {
  const int within = pair % 16;
  return pair - within + within % 4 * 4 + within / 4;
}

template <int kRank>
__device__ __forceinline__ void load_spread(Bf16* tile, const Bf16* a, int rank, int width,
                                            int first_column) {
  constexpr int kPairs = kColumns / 2;
  for (int i = static_cast<int>(threadIdx.x); i < kRank * kPairs; i += kThreads) {
    const int row = i / kPairs, pair = i % kPairs, column = first_column + pair * 2;
    const bool valid = row < rank && column < width;
    const Bf16* from = valid ? a + static_cast<int64_t>(row) * width + column : a;
    cp_async<4>(tile + row * kTileStride<kColumns> + spread_pair(pair) * 2, from, valid);
  }
}

template <int kRank>
__global__ void __launch_bounds__(kThreads, kRank <= 16 ? 4 : 3)
    adapter_dropout_kernel(Bf16Matrix dx, Bf16Matrix dxa, const __grid_constant__ Parts parts,
                           int rows, int width, Draws draws, float p, float scale) {
  using Tiles = DropoutTiles<kRank>;
  NIBBLE_DYNAMIC_SHARED(Bf16, tiles);
  const int first_column = static_cast<int>(blockIdx.x) * kColumns;
  const int first_row = static_cast<int>(blockIdx.y) * kRows;
  for (int i = 0; i < parts.count; ++i) {
    const Part& part = parts.part[i];
    Bf16* const tile = tiles + i * Tiles::kPart;
    load_tile<kRank, kRows, kThreads>(tile, dxa.data + part.xa_column, dxa.stride, first_row, rows,
                                      part.rank);
    load_spread<kRank>(tile + Tiles::kXa, part.a, part.rank, width, first_column);
  }
  cp_async_commit();
  const uint64_t first_draw = draws.first();
  cp_async_wait<0>();
  __syncthreads();
  const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / kWarp;
#pragma unroll 1
  for (int group = 0; group < kColumns; group += 32) {
    const int column = first_column + group + lane % 4 * 8;
    const int row = first_row + warp * 16 + lane / 4;  // and the eighth after it
    Floats<8> x[2];
#pragma unroll
    for (int half = 0; half < 2; ++half)
      if (row + half * 8 < rows && column < width)
        x[half] = read<8>(dx.data + (row + half * 8) * dx.stride + column);
    for (int i = 0; i < parts.count; ++i) {
      const Bf16* const tile = tiles + i * Tiles::kPart;
      float sums[4][4] = {};
#pragma unroll
      for (int k = 0; k < kRank; k += 16) {
        uint32_t left[4];
        load_a<kRank>(left, tile, warp * 16, k);
#pragma unroll
        for (int j = 0; j < 4; j += 2) {
          uint32_t right[4];
          load_b_down<kColumns>(right, tile + Tiles::kXa, k, group + j * 8);
          mma_pair(sums[j], sums[j + 1], left, right);
        }
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        if (row + half * 8 >= rows || column >= width) continue;
        const int64_t at = static_cast<int64_t>(row + half * 8) * width + column;
#pragma unroll
        for (int four = 0; four < 2; ++four) {
          const auto words = philox(draws.seed, parts.part[i].stream,
                                    first_draw + static_cast<uint64_t>(at / 4 + four));
#pragma unroll
          for (int e = 0; e < 4; ++e)
            x[half].v[4 * four + e] +=
                dropped(sums[2 * four + e / 2][2 * half + e % 2], words[e], p, scale);
        }
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half)
      if (row + half * 8 < rows && column < width)
        write(dx.data + (row + half * 8) * dx.stride + column, x[half]);
  }
}

// Whether the kernel can read all of it 16 bytes at a time.
bool fits(const AdapterDropoutBackward& op) {
  const int64_t n = op.dx.dim(0), width = op.dx.dim(1);
  return in_chunks(op.dx) && in_chunks(op.dxa) && width % 8 == 0 && n <= INT32_MAX - kRows &&
         width <= INT32_MAX - kColumns &&
         std::all_of(op.parts.begin(), op.parts.end(), [](const AdapterDropoutPart& p) {
           const int64_t r = p.a.dim(0);
           return in_chunks(p.a) && r % 8 == 0 && r > 0 && r <= kMostAdapterRank;
         });
}

}  // namespace

void adapter_dropout_backward(const AdapterDropoutBackward& op, Stream stream) {
  if (!fits(op)) return adapter_dropout_passes(op, stream);
  const auto rows = static_cast<int>(op.dx.dim(0)), width = static_cast<int>(op.dx.dim(1));
  if (rows == 0 || width == 0) return;
  int64_t most = 0;
  for (const AdapterDropoutPart& p : op.parts) most = std::max(most, p.a.dim(0));
  with_rank<16, 32, 64, kMostAdapterRank>(static_cast<int>(most), [&](auto rank) {
    constexpr int kRank = decltype(rank)::value;
    Parts parts;
    const auto flush = [&] {
      if (parts.count > 0)
        launch(adapter_dropout_kernel<kRank>,
               {.grid = dim3(blocks_for(width, kColumns), blocks_for(rows, kRows)),
                .block = dim3(kThreads),
                .shared_bytes = static_cast<size_t>(parts.count) * DropoutTiles<kRank>::kPartBytes,
                .stream = queue(stream).stream,
                .name = "adapter_dropout_backward"},
               bf16_matrix(op.dx), bf16_matrix(op.dxa), parts, rows, width,
               Draws{op.seed, 0, op.counter, device_pointer<int32_t>(op.draw)}, op.p,
               1.0f / (1.0f - op.p));
      parts = {};
    };
    int xa_column = 0;
    for (const AdapterDropoutPart& p : op.parts) {
      if (parts.count == DropoutTiles<kRank>::kMostParts) flush();
      const auto r = static_cast<int>(p.a.dim(0));
      parts.part[parts.count++] = {
          .a = device_pointer<Bf16>(p.a), .stream = p.stream, .rank = r, .xa_column = xa_column};
      xa_column += r;
    }
    flush();
  });
}

}  // namespace nibble::cuda
