// SPDX-License-Identifier: Apache-2.0
// The two sweeps of attention_backward.cu on wgmma. Scores are made transposed in the first and as
// they are in the second, so that weights and their gradients are in registers where the next
// product takes them; no product waits for one it does not need: exponentials are made while the
// other product of a tile is at work, and the last products of a tile run into the next.
#include "kernels/cuda/attention_hopper.h"
#include "kernels/cuda/tiles_hopper.h"

namespace nibble::cuda {
namespace {

// ---- dk and dv ----

// A block keeps 64 keys of a head. Its two warpgroups take turns at the tiles of queries, each with
// buffers of its own, and add up what they found at the end: so the longest block, with the first
// keys, has a multiprocessor to itself and is done when the mean of them is (two blocks of one
// warpgroup instead would leave it half idle: 1.7 times the mean at 2048 tokens of 8 key/value
// heads).
template <int kD>
struct KeyTiles {
  static constexpr int kGroups = 2;
  static constexpr int kThreads = kGroups * kWarpgroup;
  static constexpr int kKeys = 64, kQueries = 64, kBuffers = 2;
  static constexpr int kTile = kQueries * kD;
  static constexpr size_t kShared =
      sizeof(Bf16) * kD * (2 * kKeys + kGroups * kBuffers * 2 * kQueries) +
      sizeof(float) * kGroups * kBuffers * 2 * kQueries + sizeof(int) * kKeys;
};

/// Each warpgroup gives the other one of its sums, through shared memory, and finishes the other
/// sum. Finds its place anew, lest that be kept in registers through the sweep, which has none to
/// spare.
template <int kD>
__device__ __forceinline__ void write_key_gradients(const AttentionGradientArgs& args,
                                                    float* exchange, const float (&dk)[kD / 8][4],
                                                    const float (&dv)[kD / 8][4]) {
  constexpr int kKeys = KeyTiles<kD>::kKeys, kHalf = kD * kKeys;  // elements
  const AttentionArgs& a = args.attention;
  const int thread_of_block = made_again(static_cast<int>(threadIdx.x));
  const int group = thread_of_block / kWarpgroup, thread = thread_of_block % kWarpgroup;
  const int block = made_again(static_cast<int>(blockIdx.x));
  const int kv = block % a.kv_heads, key_first = block / a.kv_heads * kKeys;
#pragma unroll
  for (int c = 0; c < kD / 8; ++c)
#pragma unroll
    for (int i = 0; i < 4; ++i)
      exchange[group * kHalf + (c * 4 + i) * kWarpgroup + thread] =
          group == 0 ? dv[c][i] : dk[c][i];
  __syncthreads();
  const int64_t column = static_cast<int64_t>(a.heads + group * a.kv_heads + kv) * kD;
  const float factor = group == 0 ? a.scale : 1.0f;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = key_first + thread / kWarp * 16 + thread % kWarp / 4 + half * 8;
    if (row >= a.rows) continue;
    Bf16* const place = args.dqkv + row * args.dqkv_stride + column + thread % 4 * 2;
#pragma unroll
    for (int c = 0; c < kD / 8; ++c) {
      float sum[2];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int at = 2 * half + i;
        const float other = exchange[(1 - group) * kHalf + (c * 4 + at) * kWarpgroup + thread];
        sum[i] = group == 0 ? dk[c][at] + other : other + dv[c][at];
      }
      store(reinterpret_cast<uint32_t*>(place + c * 8),
            pack_bf16(sum[0] * factor, sum[1] * factor));
    }
  }
}

template <int kD>
__global__ void __launch_bounds__(KeyTiles<kD>::kThreads, 1)
    attention_key_gradient_hopper_kernel(AttentionGradientArgs args) {
  using Tiles = KeyTiles<kD>;
  constexpr int kKeys = Tiles::kKeys, kQueries = Tiles::kQueries, kTile = Tiles::kTile;
  constexpr int kThreads = Tiles::kThreads, kTiles = kQueries / 8, kColumns = kD / 8;
  constexpr int kPair = 2 * kTile;  // a tile of queries and one of dout
  const int thread = static_cast<int>(threadIdx.x) % kWarpgroup, lane = lane_id();
  const int group = static_cast<int>(threadIdx.x) / kWarpgroup;
  NIBBLE_SWIZZLED_SHARED(Bf16, keys);
  Bf16* const values = keys + kKeys * kD;
  Bf16* const pairs = values + kKeys * kD;                      // of both groups
  Bf16* const own = pairs + group * (Tiles::kBuffers * kPair);  // two
  // Of the first buffers of both groups, lse and delta; then of their second.
  float* const lses = reinterpret_cast<float*>(pairs + Tiles::kGroups * Tiles::kBuffers * kPair);
  constexpr int kLses = Tiles::kGroups * 2 * kQueries;
  int* const query_ends = reinterpret_cast<int*>(lses + Tiles::kBuffers * kLses);

  const AttentionArgs& a = args.attention;
  const int kv = head_of_block(a.kv_heads), heads = a.heads / a.kv_heads;
  const int key_first = tile_of_block(a.kv_heads) * kKeys;
  const int key_end = min(key_first + kKeys, a.rows);
  const int stride = static_cast<int>(a.qkv_stride());
  const Bf16* const k = args.qkv + static_cast<int64_t>(a.heads + kv) * kD;
  const Bf16* const v = k + static_cast<int64_t>(a.kv_heads) * kD;
  load_swizzled<kD, kKeys, kThreads>(keys, k, stride, key_first, key_end,
                                     static_cast<int>(threadIdx.x));
  load_swizzled<kD, kKeys, kThreads>(values, v, stride, key_first, key_end,
                                     static_cast<int>(threadIdx.x));

  if (group == 0 && thread < kKeys)
    query_ends[thread] = a.end_of_queries(min(key_first + thread, a.rows - 1));
  const int first_tile = key_first / kQueries * kQueries;
  const int tiles_end = a.end_of_queries(key_end - 1);
  const int span = (tiles_end - first_tile + kQueries - 1) / kQueries * kQueries;

  // The tiles of all heads in a row, of which each warpgroup takes every other: its next.
  int next_head = kv * heads,
      next_first = first_tile - Tiles::kGroups * kQueries + group * kQueries;
  const int heads_end = next_head + heads;
  const auto advance = [&] {
    next_first += Tiles::kGroups * kQueries;
    for (; next_first >= tiles_end; next_first -= span) ++next_head;
  };
  // Queries that do not exist arrive as zeros, with lse and delta 0.
  const auto load_next = [&](int buffer) {
    Bf16* const pair = own + buffer * kPair;
    const bool any = next_head < heads_end;
    const int end = any ? tiles_end : 0, head = any ? next_head : 0;
    load_swizzled<kD, kQueries, kWarpgroup>(pair, args.qkv + static_cast<int64_t>(head) * kD,
                                            stride, next_first, end, thread);
    load_swizzled<kD, kQueries, kWarpgroup>(pair + kTile,
                                            args.dout + static_cast<int64_t>(head) * kD,
                                            a.heads * kD, next_first, end, thread);
    const int at = next_first + thread % kQueries;
    const float* const from = thread < kQueries ? args.lse : args.delta;
    cp_async<4>(lses + buffer * kLses + made_again(static_cast<int>(threadIdx.x)),
                at < end ? from + static_cast<int64_t>(at) * a.heads + head : from, at < end);
    cp_async_commit();
  };
  advance();
  load_next(0);
  cp_async_wait<0>();
  fence_async_proxy();
  __syncthreads();

  float dk[kColumns][4], dv[kColumns][4], p[kTiles][4], ds[kTiles][4];
  uint32_t weights[kTiles / 2][4], gradients[kTiles / 2][4];
  const float scale = a.scale * kLog2E;
  int buffer = 0;
  // A tile of queries that has come; its last product is at work when this is done.
  const auto work = [&](auto add) {
    constexpr bool kAdd = decltype(add)::value;
    const int first = next_first;
    advance();
    const Bf16* const q_tile = own + buffer * kPair;
    const Bf16* const dout_tile = q_tile + kTile;
    const float* const lse = lses + buffer * kLses + group * 2 * kQueries;
    const float* const delta = lse + kQueries;
    // Transposed: rows are keys, columns queries.
    wgmma_fence();
    start_rows<kD, kKeys>(p, keys, 0, q_tile);
    wgmma_commit();
    start_rows<kD, kKeys>(ds, values, 0, dout_tile);
    wgmma_commit();
    wgmma_wait<1>(p);  // and with it the step before
    named_barrier(1 + group, kWarpgroup);
    buffer ^= 1;
    if (next_head < heads_end) load_next(buffer);
    const bool masked = first < key_first + kKeys - 1 || first + kQueries > query_ends[0];
#pragma unroll
    for (int j = 0; j < kTiles; ++j) {
      const float2 pair = load(reinterpret_cast<const float2*>(lse + j * 8 + lane % 4 * 2));
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float base = (i % 2 == 0 ? pair.x : pair.y) * kLog2E;
        p[j][i] = exp2_approx(fmaf(p[j][i], scale, -base));
      }
    }
    if (masked) {
      const int row = thread / kWarp * 16 + lane / 4;  // of the keys, and row + 8
      const int query_end[2] = {query_ends[row], query_ends[row + 8]};
#pragma unroll
      for (int j = 0; j < kTiles; ++j)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int half = i / 2, query = first + j * 8 + lane % 4 * 2 + i % 2;
          if (query < key_first + row + half * 8 || query >= query_end[half]) p[j][i] = 0.0f;
        }
    }
    pack_weights(weights, p);
    wgmma_fence(weights);
    start_weighted<kD, kAdd>(dv, weights, dout_tile);
    wgmma_commit();
    wgmma_wait<0>(ds, weights);
#pragma unroll
    for (int j = 0; j < kTiles; ++j) {
      const float2 pair = load(reinterpret_cast<const float2*>(delta + j * 8 + lane % 4 * 2));
#pragma unroll
      for (int i = 0; i < 4; ++i) ds[j][i] = p[j][i] * (ds[j][i] - (i % 2 == 0 ? pair.x : pair.y));
    }
    pack_weights(gradients, ds);
    wgmma_fence(gradients);
    start_weighted<kD, kAdd>(dk, gradients, q_tile);
    wgmma_commit();
  };
  // A warpgroup for which there is no tile takes one of zeros, which adds nothing.
  work(std::false_type());
  while (next_head < heads_end) {
    cp_async_wait<0>();
    fence_async_proxy();
    named_barrier(1 + group, kWarpgroup);
    work(std::true_type());
  }
  wgmma_wait<0>(dk, dv, gradients);

  // Over tiles that nobody reads any more.
  __syncthreads();
  write_key_gradients<kD>(args, reinterpret_cast<float*>(pairs), dk, dv);
}

// ---- dq ----

template <int kD>
struct QueryTiles {
  static constexpr int kThreads = 2 * kWarpgroup;
  static constexpr int kQueries = kThreads / kWarp * 16;
  static constexpr int kKeys = 64, kBuffers = 3;
  static constexpr size_t kShared = sizeof(Bf16) * kD * (2 * kQueries + 2 * kBuffers * kKeys);
};

template <int kD>
__global__ void __launch_bounds__(QueryTiles<kD>::kThreads, 1)
    attention_query_gradient_hopper_kernel(AttentionGradientArgs args) {
  using Tiles = QueryTiles<kD>;
  constexpr int kKeys = Tiles::kKeys, kThreads = Tiles::kThreads, kTiles = kKeys / 8;
  constexpr int kTile = kKeys * kD;
  NIBBLE_SWIZZLED_SHARED(Bf16, queries);
  Bf16* const douts = queries + Tiles::kQueries * kD;
  Bf16* const keys = douts + Tiles::kQueries * kD;      // kBuffers tiles
  Bf16* const values = keys + Tiles::kBuffers * kTile;  // kBuffers tiles

  const AttentionArgs& a = args.attention;
  const int head = head_of_block(a.heads), kv = a.kv_head(head);
  const int tile_first = tile_of_block_from_last(a.heads) * Tiles::kQueries;
  const int tile_end = min(tile_first + Tiles::kQueries, a.rows);
  const int stride = static_cast<int>(a.qkv_stride());
  const Bf16* const q = args.qkv + static_cast<int64_t>(head) * kD;
  const Bf16* const k = args.qkv + static_cast<int64_t>(a.heads + kv) * kD;
  const Bf16* const v = k + static_cast<int64_t>(a.kv_heads) * kD;

  const int lane = lane_id(), thread = static_cast<int>(threadIdx.x);
  const int group_row = thread / kWarpgroup * 64;  // the warpgroup's first, of the tile's
  const int row = tile_first + thread / kWarp * 16 + lane / 4;  // and row + 8
  const auto [first_key, lse, delta] = query_rows(args, row, head);
  const int first_tile = a.first_key(tile_first) / kKeys * kKeys;
  const int last_first_key = a.first_key(tile_end - 1);

  const auto load_keys = [&](int key, int buffer) {
    load_swizzled<kD, kKeys, kThreads>(keys + buffer * kTile, k, stride, key, tile_end, thread);
    load_swizzled<kD, kKeys, kThreads>(values + buffer * kTile, v, stride, key, tile_end, thread);
    cp_async_commit();
  };
  load_swizzled<kD, Tiles::kQueries, kThreads>(queries, q, stride, tile_first, tile_end, thread);
  load_swizzled<kD, Tiles::kQueries, kThreads>(douts, args.dout + static_cast<int64_t>(head) * kD,
                                               a.heads * kD, tile_first, tile_end, thread);
  load_keys(first_tile, 0);

  float dq[kD / 8][4], p[kTiles][4], ds[kTiles][4];
  uint32_t gradients[kTiles / 2][4];
  const float scale = a.scale * kLog2E;
  int buffer = 0;
  // A tile of keys; its last product is at work when this is done.
  const auto work = [&](int key, auto add) {
    const int next = buffer == Tiles::kBuffers - 1 ? 0 : buffer + 1;
    cp_async_wait<0>();
    fence_async_proxy();
    __syncthreads();
    // Over the tile before the last: all have awaited its products.
    if (key + kKeys < tile_end) load_keys(key + kKeys, next);
    wgmma_fence();
    start_rows<kD, Tiles::kQueries>(p, queries, group_row, keys + buffer * kTile);
    wgmma_commit();
    start_rows<kD, Tiles::kQueries>(ds, douts, group_row, values + buffer * kTile);
    wgmma_commit();
    wgmma_wait<1>(p);  // and with it the tile before
#pragma unroll
    for (int j = 0; j < kTiles; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i) p[j][i] = exp2_approx(fmaf(p[j][i], scale, -lse[i / 2]));
    if (key + kKeys > tile_first + group_row + 1 || key < last_first_key) {
#pragma unroll
      for (int j = 0; j < kTiles; ++j)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int half = i / 2, column = key + j * 8 + lane % 4 * 2 + i % 2;
          if (column > row + half * 8 || column < first_key[half]) p[j][i] = 0.0f;
        }
    }
    wgmma_wait<0>(ds);
#pragma unroll
    for (int j = 0; j < kTiles; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i) ds[j][i] = p[j][i] * (ds[j][i] - delta[i / 2]);
    pack_weights(gradients, ds);
    wgmma_fence(gradients);
    start_weighted<kD, decltype(add)::value>(dq, gradients, keys + buffer * kTile);
    wgmma_commit();
    buffer = next;
  };
  work(first_tile, std::false_type());
  for (int key = first_tile + kKeys; key < tile_end; key += kKeys) work(key, std::true_type());
  wgmma_wait<0>(dq, gradients);

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int at = row + half * 8;
    if (at >= a.rows) continue;
    Bf16* const place =
        args.dqkv + at * args.dqkv_stride + static_cast<int64_t>(head) * kD + lane % 4 * 2;
#pragma unroll
    for (int c = 0; c < kD / 8; ++c)
      store(reinterpret_cast<uint32_t*>(place + c * 8),
            pack_bf16(dq[c][2 * half] * a.scale, dq[c][2 * half + 1] * a.scale));
  }
}

}  // namespace

void attention_backward_wgmma(const AttentionGradientArgs& args, cudaStream_t stream) {
  const AttentionArgs& a = args.attention;
  with_swizzled_width(a.head_dim, [&](auto width) {
    constexpr int kD = decltype(width)::value;
    const char* const name = "attention_backward";
    launch(attention_key_gradient_hopper_kernel<kD>,
           {.grid = tiles_and_heads(a.rows, KeyTiles<kD>::kKeys, a.kv_heads),
            .block = dim3(KeyTiles<kD>::kThreads),
            .shared_bytes = KeyTiles<kD>::kShared,
            .stream = stream,
            .name = name},
           args);
    launch(attention_query_gradient_hopper_kernel<kD>,
           {.grid = tiles_and_heads(a.rows, QueryTiles<kD>::kQueries, a.heads),
            .block = dim3(QueryTiles<kD>::kThreads),
            .shared_bytes = QueryTiles<kD>::kShared,
            .stream = stream,
            .name = name},
           args);
  });
}

}  // namespace nibble::cuda
