// SPDX-License-Identifier: Apache-2.0
// FlashAttention forward on wgmma (the order of work within a warpgroup: Shah et al. 2024,
// FlashAttention-3, section 3.2): a block takes 128 queries of one head, a warpgroup 64 of them.
// While the softmax of a tile of keys is made, the product with the values of the tile before is at
// work. Otherwise as attention_forward.cu.
#include "kernels/cuda/attention_hopper.h"
#include "kernels/cuda/tiles_hopper.h"
#include "kernels/cuda/twins.h"

namespace nibble::cuda {
namespace {

template <int kD>
struct ForwardTiles {
  static constexpr int kThreads = 2 * kWarpgroup;
  static constexpr int kQueries = kThreads / kWarp * 16;
  static constexpr int kKeys = 128;
  static constexpr size_t kShared = sizeof(Bf16) * kD * (kQueries + 4 * kKeys);
};

// What a warpgroup's thread knows of its two rows, lane / 4 and 8 more of its warp's.
struct Rows {
  int row, first_key[2];
  float top[2] = {-INFINITY, -INFINITY}, total[2] = {0.0f, 0.0f};  // top: not scaled yet
};

// Turns a tile's scores into weights against the rows' new maxima, and gives what all earlier
// weights are to be multiplied by.
template <int kTiles>
__device__ __forceinline__ void soften(float (&scores)[kTiles][4], float (&shrink)[2], Rows& rows,
                                       int key, bool masked, float scale) {
  const int lane = lane_id();
  if (masked) {
#pragma unroll
    for (int j = 0; j < kTiles; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int column = key + j * 8 + lane % 4 * 2 + i % 2;
        if (column > rows.row + i / 2 * 8 || column < rows.first_key[i / 2])
          scores[j][i] = -INFINITY;
      }
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float most = rows.top[half];
#pragma unroll
    for (int j = 0; j < kTiles; ++j)
      most = fmaxf(most, fmaxf(scores[j][2 * half], scores[j][2 * half + 1]));
    most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 1));
    most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 2));
    const float base = most == -INFINITY ? 0.0f : most * scale;  // nothing to look at yet
    shrink[half] = exp2_approx(fmaf(rows.top[half], scale, -base));
    rows.top[half] = most;
    float sum = 0.0f;
#pragma unroll
    for (int j = 0; j < kTiles; ++j)
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; ++i) {
        scores[j][i] = exp2_approx(fmaf(scores[j][i], scale, -base));
        sum += scores[j][i];
      }
    rows.total[half] = fmaf(rows.total[half], shrink[half], sum);
  }
}

template <int kD>
__global__ void __launch_bounds__(ForwardTiles<kD>::kThreads, 1)
    attention_forward_hopper_kernel(Bf16* out, int64_t out_stride, float* lse, const Bf16* qkv,
                                    AttentionArgs args) {
  using Tiles = ForwardTiles<kD>;
  constexpr int kKeys = Tiles::kKeys, kThreads = Tiles::kThreads, kTile = kKeys * kD;
  NIBBLE_SWIZZLED_SHARED(Bf16, queries);
  Bf16* const keys = queries + Tiles::kQueries * kD;  // two tiles
  Bf16* const values = keys + 2 * kTile;              // two tiles
  const int head = head_of_block(args.heads), kv = args.kv_head(head);
  const int tile_first = tile_of_block_from_last(args.heads) * Tiles::kQueries;
  const int tile_end = min(tile_first + Tiles::kQueries, args.rows);
  const int stride = static_cast<int>(args.qkv_stride());
  const Bf16* const q = qkv + static_cast<int64_t>(head) * kD;
  const Bf16* const k = qkv + static_cast<int64_t>(args.heads + kv) * kD;
  const Bf16* const v = k + static_cast<int64_t>(args.kv_heads) * kD;

  const int lane = lane_id(), thread = static_cast<int>(threadIdx.x);
  const int group_row = thread / kWarpgroup * 64;  // the warpgroup's first, of the tile's
  Rows rows;
  rows.row = tile_first + thread / kWarp * 16 + lane / 4;
#pragma unroll
  for (int half = 0; half < 2; ++half)
    rows.first_key[half] = args.first_key(min(rows.row + half * 8, args.rows - 1));
  const int first_tile = args.first_key(tile_first) / kKeys * kKeys;
  const int last_first_key = args.first_key(tile_end - 1);
  const auto masked = [&](int key) {
    return key + kKeys > tile_first + group_row + 1 || key < last_first_key;
  };
  const auto load_keys = [&](int key, int buffer) {
    load_swizzled<kD, kKeys, kThreads>(keys + buffer * kTile, k, stride, key, tile_end, thread);
  };
  const auto load_values = [&](int key, int buffer) {
    load_swizzled<kD, kKeys, kThreads>(values + buffer * kTile, v, stride, key, tile_end, thread);
  };
  // What was started to be copied has come, for all threads and for wgmma; and what all of them
  // awaited before is over, so that its buffers may be filled.
  const auto meet = [] {
    cp_async_wait<0>();
    fence_async_proxy();
    __syncthreads();
  };

  load_swizzled<kD, Tiles::kQueries, kThreads>(queries, q, stride, tile_first, tile_end, thread);
  load_keys(first_tile, 0);
  cp_async_commit();
  float scores[kKeys / 8][4], shrink[2];
  uint32_t weights[kKeys / 16][4];
  float sums[kD / 8][4] = {};
  const float scale = args.scale * kLog2E;
  meet();
  if (first_tile + kKeys < tile_end) load_keys(first_tile + kKeys, 1);
  load_values(first_tile, 0);
  cp_async_commit();
  wgmma_fence();
  start_rows<kD, Tiles::kQueries>(scores, queries, group_row, keys);
  wgmma_commit();
  wgmma_wait<0>(scores);
  soften(scores, shrink, rows, first_tile, masked(first_tile), scale);
  pack_weights(weights, scores);

  int buffer = 0;  // of the values last started to be copied; the keys after them are in the other
  for (int key = first_tile + kKeys; key < tile_end; key += kKeys) {
    meet();
    if (key + kKeys < tile_end) load_keys(key + kKeys, buffer);
    load_values(key, buffer ^ 1);
    cp_async_commit();
    wgmma_fence(sums, weights);
    start_rows<kD, Tiles::kQueries>(scores, queries, group_row, keys + (buffer ^ 1) * kTile);
    wgmma_commit();
    start_weighted<kD, true>(sums, weights, values + buffer * kTile);
    wgmma_commit();
    wgmma_wait<1>(scores);
    soften(scores, shrink, rows, key, masked(key), scale);
    wgmma_wait<0>(sums, weights);
#pragma unroll
    for (int c = 0; c < kD / 8; ++c)
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[c][i] *= shrink[i / 2];
    pack_weights(weights, scores);
    buffer ^= 1;
  }
  meet();
  wgmma_fence(sums, weights);
  start_weighted<kD, true>(sums, weights, values + buffer * kTile);
  wgmma_commit();
  wgmma_wait<0>(sums, weights);

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float all = rows.total[half];
    all += __shfl_xor_sync(kAllLanes, all, 1);
    all += __shfl_xor_sync(kAllLanes, all, 2);
    const int at = rows.row + half * 8;
    if (at >= args.rows) continue;
    const float inverse = 1.0f / all;
    Bf16* const place = out + at * out_stride + static_cast<int64_t>(head) * kD + lane % 4 * 2;
#pragma unroll
    for (int c = 0; c < kD / 8; ++c)
      store(reinterpret_cast<uint32_t*>(place + c * 8),
            pack_bf16(sums[c][2 * half] * inverse, sums[c][2 * half + 1] * inverse));
    if (lse && lane % 4 == 0)
      lse[static_cast<int64_t>(at) * args.heads + head] =
          (rows.top[half] * scale + log2f(all)) * kLn2;
  }
}

}  // namespace

void attention_forward_wgmma(const AttentionForward& op, const AttentionArgs& args,
                             cudaStream_t stream) {
  with_swizzled_width(args.head_dim, [&](auto width) {
    using Tiles = ForwardTiles<decltype(width)::value>;
    launch(attention_forward_hopper_kernel<decltype(width)::value>,
           {.grid = tiles_and_heads(args.rows, Tiles::kQueries, args.heads),
            .block = dim3(Tiles::kThreads),
            .shared_bytes = Tiles::kShared,
            .stream = stream,
            .name = "attention_forward"},
           device_pointer<Bf16>(op.out), op.out.row_stride, device_pointer<float>(op.lse),
           device_pointer<Bf16>(op.qkv), args);
  });
}

}  // namespace nibble::cuda
