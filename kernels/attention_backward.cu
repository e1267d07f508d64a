// SPDX-License-Identifier: Apache-2.0
// FlashAttention-2 backward (Dao 2023) on mma.sync in two sweeps, so that no two blocks add to one
// number and a rerun has the same bits: a block of the first keeps a tile of keys and walks the
// queries that look at it, of every head of the group, for dk and dv; a block of the second keeps a
// tile of queries and walks its keys, for dq. Scores are made again from lse in both.
#include "kernels/cuda/attention_hopper.h"
#include "kernels/cuda/attention_rows.h"
#include "kernels/cuda/attention_tiles.h"
#include "kernels/cuda/twins.h"

namespace nibble::cuda {
namespace {

// delta_i = dout_i . out_i, a warp a row and head.
constexpr int kDeltaWarps = 8;

template <class T>
__global__ void __launch_bounds__(kDeltaWarps* kWarp)
    delta_kernel(float* delta, const T* dout, const T* out, int64_t out_stride, int64_t things,
                 int heads, int head_dim) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kDeltaWarps + threadIdx.x / kWarp;
  if (at >= things) return;
  const T* const dout_head = dout + at * head_dim;
  const T* const out_head = out + at / heads * out_stride + at % heads * head_dim;
  float sum = 0.0f;
  for (int i = lane_id(); i < head_dim; i += kWarp)
    sum = fmaf(to_f32(dout_head[i]), to_f32(out_head[i]), sum);
  sum = warp_sum(sum);
  if (lane_id() == 0) delta[at] = sum;
}

// lse (in log2) and delta of a tile's queries, in shared memory; queries that do not exist have an
// lse that makes their weights zero.
__device__ __forceinline__ void load_row_values(float* lse, float* delta,
                                                const AttentionGradientArgs& args, int first,
                                                int count, int end, int head) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
    const int64_t at = static_cast<int64_t>(first + i) * args.attention.heads + head;
    const bool exists = first + i < end;
    lse[i] = exists ? args.lse[at] * kLog2E : INFINITY;
    delta[i] = exists ? args.delta[at] : 0.0f;
  }
}

// ---- dk and dv ----

template <int kD>
struct KeyTiles {
  static constexpr int kSplit = kD > 128 ? 2 : 1;  // warps that share sixteen keys, by columns
  static constexpr int kKeys = kD > 128 ? 48 : 64;
  static constexpr int kThreads = kKeys / 16 * kSplit * kWarp;
  static constexpr int kQueries = kD > 64 ? 32 : 64;
  static constexpr int kBuffers = kD > 128 ? 1 : 2;
  static constexpr size_t kShared = 2 * kTileBytes<kD, kKeys> +
                                    2 * kBuffers * kTileBytes<kD, kQueries> +
                                    4 * kQueries * sizeof(float);
  static_assert(kShared <= kMostTileBytes);
};

template <int kD>
__global__ void __launch_bounds__(KeyTiles<kD>::kThreads)
    attention_key_gradient_kernel(AttentionGradientArgs args) {
  using Tiles = KeyTiles<kD>;
  constexpr int kQueries = Tiles::kQueries, kThreads = Tiles::kThreads, kTiles = kQueries / 8;
  constexpr int kColumns = kD / Tiles::kSplit / 8;
  constexpr int kTile = kQueries * kTileStride<kD>;
  NIBBLE_DYNAMIC_SHARED(Bf16, keys);
  Bf16* const values = keys + Tiles::kKeys * kTileStride<kD>;
  Bf16* const queries = values + Tiles::kKeys * kTileStride<kD>;                  // kBuffers tiles
  Bf16* const douts = queries + Tiles::kBuffers * kTile;                          // kBuffers tiles
  float* const lses = reinterpret_cast<float*>(douts + Tiles::kBuffers * kTile);  // two of each
  float* const deltas = lses + 2 * kQueries;

  const AttentionArgs& a = args.attention;
  const int kv = head_of_block(a.kv_heads), group = a.heads / a.kv_heads;
  const int key_first = tile_of_block(a.kv_heads) * Tiles::kKeys;
  const int key_end = min(key_first + Tiles::kKeys, a.rows);
  const int64_t stride = a.qkv_stride();
  const Bf16* const k = args.qkv + static_cast<int64_t>(a.heads + kv) * a.head_dim;
  const Bf16* const v = k + static_cast<int64_t>(a.kv_heads) * a.head_dim;
  load_tile<kD, Tiles::kKeys, kThreads>(keys, k, stride, key_first, key_end, a.head_dim);
  load_tile<kD, Tiles::kKeys, kThreads>(values, v, stride, key_first, key_end, a.head_dim);

  const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / kWarp;
  const int key_row = warp / Tiles::kSplit * 16;
  const int column_first = warp % Tiles::kSplit * kColumns * 8;
  const int key = key_first + key_row + lane / 4;  // and key + 8
  int query_end[2];
#pragma unroll
  for (int half = 0; half < 2; ++half)
    query_end[half] = a.end_of_queries(min(key + half * 8, a.rows - 1));
  const int first_tile = key_first / kQueries * kQueries;
  const int tiles_end = a.end_of_queries(key_end - 1);
  const int first_query_end = a.end_of_queries(key_first);
  const int steps = (tiles_end - first_tile + kQueries - 1) / kQueries;

  const auto load_queries = [&](int step) {
    const int head = kv * group + step / steps, first = first_tile + step % steps * kQueries;
    const int buffer = step % Tiles::kBuffers;
    load_tile<kD, kQueries, kThreads>(queries + buffer * kTile,
                                      args.qkv + static_cast<int64_t>(head) * a.head_dim, stride,
                                      first, tiles_end, a.head_dim);
    load_tile<kD, kQueries, kThreads>(douts + buffer * kTile,
                                      args.dout + static_cast<int64_t>(head) * a.head_dim,
                                      a.out_stride(), first, tiles_end, a.head_dim);
    load_row_values(lses + step % 2 * kQueries, deltas + step % 2 * kQueries, args, first, kQueries,
                    tiles_end, head);
    cp_async_commit();
  };
  load_queries(0);

  float dk[kColumns][4] = {}, dv[kColumns][4] = {};
  const float scale = a.scale * kLog2E;
  for (int step = 0; step < steps * group; ++step) {
    if (Tiles::kBuffers == 2 && step + 1 < steps * group) {
      load_queries(step + 1);
      cp_async_wait<1>();
    } else {
      cp_async_wait<0>();
    }
    __syncthreads();
    const int first = first_tile + step % steps * kQueries;
    const Bf16* const q_tile = queries + step % Tiles::kBuffers * kTile;
    const Bf16* const dout_tile = douts + step % Tiles::kBuffers * kTile;
    const float* const lse = lses + step % 2 * kQueries;
    const float* const delta = deltas + step % 2 * kQueries;
    // Transposed: rows are keys, columns queries.
    float p[kTiles][4], ds[kTiles][4];
    multiply_rows<kD, kTiles>(p, keys, key_row, q_tile, 0);
    multiply_rows<kD, kTiles>(ds, values, key_row, dout_tile, 0);
    const bool masked = first < key_end - 1 || first + kQueries > first_query_end;
#pragma unroll
    for (int j = 0; j < kTiles; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int half = i / 2, column = j * 8 + lane % 4 * 2 + i % 2, query = first + column;
        float weight = exp2_approx(p[j][i] * scale - lse[column]);
        if (masked && (query < key + half * 8 || query >= query_end[half])) weight = 0.0f;
        p[j][i] = weight;
        ds[j][i] = weight * (ds[j][i] - delta[column]);
      }
    add_weighted<kD, kTiles, kColumns>(dv, p, dout_tile, column_first);
    add_weighted<kD, kTiles, kColumns>(dk, ds, q_tile, column_first);
    __syncthreads();
    if (Tiles::kBuffers == 1 && step + 1 < steps * group) load_queries(step + 1);
  }

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = key + half * 8;
    if (row >= a.rows) continue;
    Bf16* const dk_row =
        args.dqkv + row * args.dqkv_stride + static_cast<int64_t>(a.heads + kv) * a.head_dim;
    Bf16* const dv_row = dk_row + static_cast<int64_t>(a.kv_heads) * a.head_dim;
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      const int column = column_first + c * 8 + lane % 4 * 2;
      if (column >= a.head_dim) continue;
      store(reinterpret_cast<uint32_t*>(dk_row + column),
            pack_bf16(dk[c][2 * half] * a.scale, dk[c][2 * half + 1] * a.scale));
      store(reinterpret_cast<uint32_t*>(dv_row + column),
            pack_bf16(dv[c][2 * half], dv[c][2 * half + 1]));
    }
  }
}

// ---- dq ----

template <int kD>
struct QueryTiles {
  static constexpr int kWarps = 4;
  static constexpr int kThreads = kWarps * kWarp;
  static constexpr int kQueries = kWarps * 16;
  static constexpr int kKeys = kD > 64 ? 32 : 64;
  static constexpr int kBuffers = kD > 128 ? 1 : 2;
  static constexpr size_t kShared =
      2 * kTileBytes<kD, kQueries> + 2 * kBuffers * kTileBytes<kD, kKeys>;
  static_assert(kShared <= kMostTileBytes);
};

template <int kD>
__global__ void __launch_bounds__(QueryTiles<kD>::kThreads)
    attention_query_gradient_kernel(AttentionGradientArgs args) {
  using Tiles = QueryTiles<kD>;
  constexpr int kKeys = Tiles::kKeys, kThreads = Tiles::kThreads, kTiles = kKeys / 8;
  constexpr int kTile = kKeys * kTileStride<kD>;
  NIBBLE_DYNAMIC_SHARED(Bf16, queries);
  Bf16* const douts = queries + Tiles::kQueries * kTileStride<kD>;
  Bf16* const keys = douts + Tiles::kQueries * kTileStride<kD>;  // kBuffers tiles
  Bf16* const values = keys + Tiles::kBuffers * kTile;           // kBuffers tiles

  const AttentionArgs& a = args.attention;
  const int head = head_of_block(a.heads), kv = a.kv_head(head);
  const int tile_first = tile_of_block_from_last(a.heads) * Tiles::kQueries;
  const int tile_end = min(tile_first + Tiles::kQueries, a.rows);
  const int64_t stride = a.qkv_stride();
  const Bf16* const q = args.qkv + static_cast<int64_t>(head) * a.head_dim;
  const Bf16* const k = args.qkv + static_cast<int64_t>(a.heads + kv) * a.head_dim;
  const Bf16* const v = k + static_cast<int64_t>(a.kv_heads) * a.head_dim;

  const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / kWarp;
  const int row = tile_first + warp * 16 + lane / 4;  // and row + 8
  const auto [first_key, lse, delta] = query_rows(args, row, head);
  const int first_tile = a.first_key(tile_first) / kKeys * kKeys;
  const int last_first_key = a.first_key(tile_end - 1);

  const auto load_keys = [&](int key, int buffer) {
    load_tile<kD, kKeys, kThreads>(keys + buffer * kTile, k, stride, key, tile_end, a.head_dim);
    load_tile<kD, kKeys, kThreads>(values + buffer * kTile, v, stride, key, tile_end, a.head_dim);
    cp_async_commit();
  };
  load_tile<kD, Tiles::kQueries, kThreads>(queries, q, stride, tile_first, tile_end, a.head_dim);
  load_tile<kD, Tiles::kQueries, kThreads>(douts,
                                           args.dout + static_cast<int64_t>(head) * a.head_dim,
                                           a.out_stride(), tile_first, tile_end, a.head_dim);
  load_keys(first_tile, 0);

  float dq[kD / 8][4] = {};
  const float scale = a.scale * kLog2E;
  int buffer = 0;
  for (int key = first_tile; key < tile_end; key += kKeys) {
    if (Tiles::kBuffers == 2 && key + kKeys < tile_end) {
      load_keys(key + kKeys, buffer ^ 1);
      cp_async_wait<1>();
    } else {
      cp_async_wait<0>();
    }
    __syncthreads();
    float p[kTiles][4], ds[kTiles][4];
    multiply_rows<kD, kTiles>(p, queries, warp * 16, keys + buffer * kTile, 0);
    multiply_rows<kD, kTiles>(ds, douts, warp * 16, values + buffer * kTile, 0);
    const bool masked = key + kKeys > tile_first + 1 || key < last_first_key;
#pragma unroll
    for (int j = 0; j < kTiles; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int half = i / 2, column = key + j * 8 + lane % 4 * 2 + i % 2;
        float weight = exp2_approx(p[j][i] * scale - lse[half]);
        if (masked && (column > row + half * 8 || column < first_key[half])) weight = 0.0f;
        ds[j][i] = weight * (ds[j][i] - delta[half]);
      }
    add_weighted<kD, kTiles, kD / 8>(dq, ds, keys + buffer * kTile, 0);
    __syncthreads();
    if (Tiles::kBuffers == 2)
      buffer ^= 1;
    else if (key + kKeys < tile_end)
      load_keys(key + kKeys, 0);
  }

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int at = row + half * 8;
    if (at >= a.rows) continue;
    Bf16* const place = args.dqkv + at * args.dqkv_stride + static_cast<int64_t>(head) * a.head_dim;
#pragma unroll
    for (int c = 0; c < kD / 8; ++c) {
      const int column = c * 8 + lane % 4 * 2;
      if (column >= a.head_dim) continue;
      store(reinterpret_cast<uint32_t*>(place + column),
            pack_bf16(dq[c][2 * half] * a.scale, dq[c][2 * half + 1] * a.scale));
    }
  }
}

}  // namespace

void attention_backward(const AttentionBackward& op, Stream stream) {
  const int64_t rows = op.dqkv.dim(0);
  if (rows == 0) return;
  const AttentionArgs args = attention_args(op.shape, op.starts, {}, rows);
  float* const delta = device_pointer<float>(op.scratch);
  const cudaStream_t where = queue(stream).stream;
  const char* const name = "attention_backward";
  with_float_type(op.dqkv.dtype, [&](auto type) {
    using T = decltype(type);
    const int64_t things = rows * op.shape.heads;
    launch(delta_kernel<T>,
           {.grid = dim3(blocks_for(things, kDeltaWarps)),
            .block = dim3(kDeltaWarps * kWarp),
            .stream = where,
            .name = name},
           delta, device_pointer<T>(op.dout), device_pointer<T>(op.out), op.out.row_stride, things,
           args.heads, args.head_dim);
  });
  if (!tiled(op.shape, {op.dqkv, op.dout, op.qkv}))
    return attention_backward_rows(op, args, delta, stream);
  const AttentionGradientArgs all = {.dqkv = device_pointer<Bf16>(op.dqkv),
                                     .dqkv_stride = op.dqkv.row_stride,
                                     .dout = device_pointer<Bf16>(op.dout),
                                     .qkv = device_pointer<Bf16>(op.qkv),
                                     .lse = device_pointer<float>(op.lse),
                                     .delta = delta,
                                     .attention = args};
#ifdef NIBBLE_HOPPER
  if (on_wgmma(op.shape, queue(stream))) return attention_backward_wgmma(all, where);
#endif
  with_head_width(op.shape.head_dim, [&](auto width) {
    constexpr int kD = decltype(width)::value;
    launch(attention_key_gradient_kernel<kD>,
           {.grid = tiles_and_heads(rows, KeyTiles<kD>::kKeys, op.shape.kv_heads),
            .block = dim3(KeyTiles<kD>::kThreads),
            .shared_bytes = KeyTiles<kD>::kShared,
            .stream = where,
            .name = name},
           all);
    launch(attention_query_gradient_kernel<kD>,
           {.grid = tiles_and_heads(rows, QueryTiles<kD>::kQueries, op.shape.heads),
            .block = dim3(QueryTiles<kD>::kThreads),
            .shared_bytes = QueryTiles<kD>::kShared,
            .stream = where,
            .name = name},
           all);
  });
}

}  // namespace nibble::cuda
