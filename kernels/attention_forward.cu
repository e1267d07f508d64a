// SPDX-License-Identifier: Apache-2.0
// FlashAttention-2 forward (Dao 2023) on mma.sync: a block takes a tile of queries of one head, a
// warp sixteen of them; tiles of keys and values stream through two buffers by cp.async, while the
// softmax is kept up to date row by row. Tiles of queries are cut without regard to sequences: each
// row knows the first key it may look at, and key tiles that no row needs are not read. In a tree
// of sequences (kTree) a row's keys are several ranges: each row walks them for every tile.
#include "kernels/cuda/attention_hopper.h"
#include "kernels/cuda/attention_rows.h"
#include "kernels/cuda/attention_tiles.h"
#include "kernels/cuda/twins.h"

namespace nibble::cuda {
namespace {

template <int kD, bool kTree>
struct ForwardTiles {
  static constexpr int kWarps = kD > 128 ? 4 : 8;
  static constexpr int kThreads = kWarps * kWarp;
  static constexpr int kQueries = kWarps * 16;
  static constexpr int kKeys = kD > 128 ? (kTree ? 16 : 32) : kD > 96 ? 48 : 64;
  static constexpr size_t kShared = kTileBytes<kD, kQueries> + 4 * kTileBytes<kD, kKeys>;
  static_assert(kShared <= kMostTileBytes);
  // A tree's key tiles that are needed, a bit each, lie behind.
  static size_t shared_bytes(int64_t rows) {
    constexpr int64_t kWordKeys = int64_t{kKeys} * 32;
    const int64_t words = kTree ? (rows + kWordKeys - 1) / kWordKeys : 0;
    return kShared + static_cast<size_t>(words) * sizeof(unsigned);
  }
};

template <int kD, bool kTree>
__global__ void __launch_bounds__(ForwardTiles<kD, kTree>::kThreads)
    attention_forward_kernel(Bf16* out, int64_t out_stride, float* lse, const Bf16* qkv,
                             AttentionArgs args) {
  using Tiles = ForwardTiles<kD, kTree>;
  constexpr int kKeys = Tiles::kKeys, kThreads = Tiles::kThreads, kTiles = kKeys / 8;
  NIBBLE_DYNAMIC_SHARED(Bf16, queries);
  Bf16* const keys = queries + Tiles::kQueries * kTileStride<kD>;  // two tiles
  Bf16* const values = keys + 2 * kKeys * kTileStride<kD>;         // two tiles
  const int head = head_of_block(args.heads), kv = args.kv_head(head);
  const int tile_first = tile_of_block_from_last(args.heads) * Tiles::kQueries;
  const int tile_end = min(tile_first + Tiles::kQueries, args.rows);
  const int64_t stride = args.qkv_stride();
  const Bf16* const q = qkv + static_cast<int64_t>(head) * args.head_dim;
  const Bf16* const k = qkv + static_cast<int64_t>(args.heads + kv) * args.head_dim;
  const Bf16* const v = k + static_cast<int64_t>(args.kv_heads) * args.head_dim;

  const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / kWarp;
  const int row = tile_first + warp * 16 + lane / 4;  // and row + 8
  int first_key[2] = {}, sequence[2] = {-1, -1};      // sequence: -1 where there is no row
  int first_tile = 0, last_first_key = 0;
  auto* const needed = reinterpret_cast<unsigned*>(values + 2 * kKeys * kTileStride<kD>);
  if constexpr (kTree) {
    for (int i = static_cast<int>(threadIdx.x); i * kKeys * 32 < tile_end; i += kThreads)
      needed[i] = 0;
    __syncthreads();
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (row + half * 8 >= args.rows) continue;
      sequence[half] = args.sequence_of(row + half * 8);
      if (lane % 4 != 0) continue;
      args.for_path(row + half * 8, sequence[half], [&](int first, int end) {
        for (int tile = first / kKeys; tile <= (end - 1) / kKeys; ++tile)
          atomicOr(&needed[tile / 32], 1u << tile % 32);
      });
    }
    __syncthreads();
  } else {
#pragma unroll
    for (int half = 0; half < 2; ++half)
      first_key[half] = args.first_key(min(row + half * 8, args.rows - 1));
    first_tile = args.first_key(tile_first) / kKeys * kKeys;
    last_first_key = args.first_key(tile_end - 1);
  }
  // The first tile from `key` on that is needed, or one past the last.
  const auto tile_from = [&](int key) {
    if constexpr (kTree)
      while (key < tile_end && (needed[key / kKeys / 32] >> key / kKeys % 32 & 1u) == 0)
        key += kKeys;
    return key;
  };
  if (kTree) first_tile = tile_from(0);

  const auto load_keys = [&](int key, int buffer) {
    load_tile<kD, kKeys, kThreads>(keys + buffer * kKeys * kTileStride<kD>, k, stride, key,
                                   tile_end, args.head_dim);
    load_tile<kD, kKeys, kThreads>(values + buffer * kKeys * kTileStride<kD>, v, stride, key,
                                   tile_end, args.head_dim);
    cp_async_commit();
  };
  load_tile<kD, Tiles::kQueries, kThreads>(queries, q, stride, tile_first, tile_end, args.head_dim);
  load_keys(first_tile, 0);

  float sums[kD / 8][4] = {};
  float top[2] = {-INFINITY, -INFINITY}, total[2] = {0.0f, 0.0f};
  const float scale = args.scale * kLog2E;
  int buffer = 0;
  for (int key = first_tile, next; key < tile_end; key = next, buffer ^= 1) {
    next = tile_from(key + kKeys);
    if (next < tile_end) {
      load_keys(next, buffer ^ 1);
      cp_async_wait<1>();
    } else {
      cp_async_wait<0>();
    }
    __syncthreads();
    float scores[kTiles][4];
    multiply_rows<kD, kTiles>(scores, queries, warp * 16, keys + buffer * kKeys * kTileStride<kD>,
                              0);
    const bool masked = kTree || key + kKeys > tile_first + 1 || key < last_first_key;
    uint64_t seen[2] = {};  // the tile's keys that each row looks at
    if constexpr (kTree) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        if (sequence[half] < 0) continue;
        args.for_path(row + half * 8, sequence[half], [&](int first, int end) {
          const int low = max(first - key, 0), high = min(end - key, kKeys);
          if (low < high) seen[half] |= ~uint64_t{0} >> (64 - (high - low)) << low;
        });
      }
    }
#pragma unroll
    for (int j = 0; j < kTiles; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        scores[j][i] *= scale;
        if (!masked) continue;
        const int half = i / 2, column = key + j * 8 + lane % 4 * 2 + i % 2;
        const bool looked_at = kTree ? (seen[half] >> (column - key) & 1u) != 0
                                     : column <= row + half * 8 && column >= first_key[half];
        if (!looked_at) scores[j][i] = -INFINITY;
      }
      // The rows' maxima and sums, over the four lanes that share a row.
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float most = top[half];
#pragma unroll
      for (int j = 0; j < kTiles; ++j)
        most = fmaxf(most, fmaxf(scores[j][2 * half], scores[j][2 * half + 1]));
      most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 1));
      most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 2));
      const float base = most == -INFINITY ? 0.0f : most;  // nothing to look at yet
      const float shrink = exp2_approx(top[half] - base);
      top[half] = most;
      float sum = 0.0f;
#pragma unroll
      for (int j = 0; j < kTiles; ++j)
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          scores[j][i] = exp2_approx(scores[j][i] - base);
          sum += scores[j][i];
        }
      total[half] = total[half] * shrink + sum;
#pragma unroll
      for (int c = 0; c < kD / 8; ++c) {
        sums[c][2 * half] *= shrink;
        sums[c][2 * half + 1] *= shrink;
      }
    }
    add_weighted<kD, kTiles, kD / 8>(sums, scores, values + buffer * kKeys * kTileStride<kD>, 0);
    __syncthreads();
  }

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float all = total[half];
    all += __shfl_xor_sync(kAllLanes, all, 1);
    all += __shfl_xor_sync(kAllLanes, all, 2);
    const int at = row + half * 8;
    if (at >= args.rows) continue;
    const float inverse = 1.0f / all;
    Bf16* const place = out + at * out_stride + static_cast<int64_t>(head) * args.head_dim;
#pragma unroll
    for (int c = 0; c < kD / 8; ++c) {
      const int column = c * 8 + lane % 4 * 2;
      if (column >= args.head_dim) continue;
      store(reinterpret_cast<uint32_t*>(place + column),
            pack_bf16(sums[c][2 * half] * inverse, sums[c][2 * half + 1] * inverse));
    }
    if (lse && lane % 4 == 0)
      lse[static_cast<int64_t>(at) * args.heads + head] = (top[half] + log2f(all)) * kLn2;
  }
}

}  // namespace

void attention_forward(const AttentionForward& op, Stream stream) {
  const int64_t rows = op.out.dim(0);
  if (rows == 0) return;
  const AttentionArgs args = attention_args(op.shape, op.starts, op.parents, rows);
  if (!tiled(op.shape, {op.out, op.qkv})) return attention_forward_rows(op, args, stream);
#ifdef NIBBLE_HOPPER
  if (!op.parents && on_wgmma(op.shape, queue(stream)))
    return attention_forward_wgmma(op, args, queue(stream).stream);
#endif
  with_head_width(op.shape.head_dim, [&](auto width) {
    constexpr int kD = decltype(width)::value;
    const auto run = [&](auto tree) {
      using Tiles = ForwardTiles<kD, decltype(tree)::value>;
      launch(attention_forward_kernel<kD, decltype(tree)::value>,
             {.grid = tiles_and_heads(rows, Tiles::kQueries, op.shape.heads),
              .block = dim3(Tiles::kThreads),
              .shared_bytes = Tiles::shared_bytes(rows),
              .stream = queue(stream).stream,
              .name = "attention_forward"},
             device_pointer<Bf16>(op.out), op.out.row_stride, device_pointer<float>(op.lse),
             device_pointer<Bf16>(op.qkv), args);
    };
    if (op.parents)
      run(std::true_type());
    else
      run(std::false_type());
  });
}

}  // namespace nibble::cuda
