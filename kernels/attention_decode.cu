// SPDX-License-Identifier: Apache-2.0
// Decoding (split keys and values: Dao et al., "Flash-Decoding", 2023): a block takes kChunk cached
// positions of one sequence and the query heads that share a key head; its warps take positions in
// turn and meet at its end, the blocks of a sequence in a second kernel. Where a sequence is cut
// depends on nothing but its own positions.
#include <algorithm>
#include <cmath>

#include "kernels/attention.h"
#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;
constexpr int kChunk = static_cast<int>(kDecodeChunk);
constexpr int kHeads = 4;  // query heads of a sweep over the keys
constexpr int kEach = 8;   // elements of a head a lane holds: 256 / 32

struct DecodeArgs {
  const int32_t* lengths;
  float* partial;  // (B, H, chunks, D + 2): sums over values, maximum, total
  int64_t q_stride, room;
  int heads, kv_heads, head_dim, window, chunks;
  float scale;

  __device__ __forceinline__ float* place(int64_t b, int64_t head, int64_t chunk) const {
    return partial + ((b * heads + head) * chunks + chunk) * (head_dim + 2);
  }
  __device__ __forceinline__ int first_position(int length) const {
    return window > 0 ? max(length - window, 0) : 0;
  }
};

// A lane's elements of a head: kCount neighbours, then the next 32 * kCount.
struct Head {
  float v[kEach];
};
template <int kCount, class T>
__device__ __forceinline__ Head read_head(const T* p, int d) {
  Head h;
#pragma unroll
  for (int i = 0; i < kEach; i += kCount) {
    const int at = (static_cast<int>(threadIdx.x) % kWarp + i / kCount * kWarp) * kCount;
    Floats<kCount> x{};
    if (at < d) x = read<kCount>(p + at);
#pragma unroll
    for (int k = 0; k < kCount; ++k) h.v[i + k] = x.v[k];
  }
  return h;
}
template <int kCount>
__device__ __forceinline__ int element(int i) {
  return (static_cast<int>(threadIdx.x) % kWarp + i / kCount * kWarp) * kCount + i % kCount;
}

template <class T, class C, int kCount>
__global__ void __launch_bounds__(kThreads)
    decode_chunk_kernel(const T* q, const C* keys, const C* values, DecodeArgs args) {
  __shared__ float sums[kWarps][kHeads][kEach * kWarp];
  __shared__ float tops[kWarps][kHeads], totals[kWarps][kHeads];
  const int64_t b = blockIdx.z;
  const int chunk = static_cast<int>(blockIdx.x), kv = static_cast<int>(blockIdx.y);
  const int length = args.lengths[b], d = args.head_dim;
  const int begin = max(chunk * kChunk, args.first_position(length));
  const int end = min((chunk + 1) * kChunk, length);
  if (begin >= end) return;
  const int warp = static_cast<int>(threadIdx.x) / kWarp,
            lane = static_cast<int>(threadIdx.x) % kWarp;
  const int group = args.heads / args.kv_heads;
  const int64_t row = static_cast<int64_t>(args.kv_heads) * d;
  const int64_t cached = b * args.room * row + static_cast<int64_t>(kv) * d;
  for (int first = kv * group; first < (kv + 1) * group; first += kHeads) {
    const int heads = min(kHeads, (kv + 1) * group - first);
    Head query[kHeads], sum[kHeads];
    float top[kHeads], total[kHeads];
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      sum[h] = {};
      top[h] = -INFINITY;
      total[h] = 0.0f;
      // A head too many repeats the last and is thrown away.
      query[h] = read_head<kCount>(q + b * args.q_stride + (first + min(h, heads - 1)) * d, d);
    }
    for (int position = begin + warp; position < end; position += kWarps) {
      const Head key = read_head<kCount>(keys + cached + position * row, d);
      const Head value = read_head<kCount>(values + cached + position * row, d);
#pragma unroll
      for (int h = 0; h < kHeads; ++h) {
        float score = 0.0f;
#pragma unroll
        for (int i = 0; i < kEach; ++i) score = fmaf(query[h].v[i], key.v[i], score);
        score = warp_sum(score) * args.scale;
        const float most = fmaxf(top[h], score);
        const float shrink = expf(top[h] - most), p = expf(score - most);
        top[h] = most;
        total[h] = total[h] * shrink + p;
#pragma unroll
        for (int i = 0; i < kEach; ++i) sum[h].v[i] = fmaf(p, value.v[i], sum[h].v[i] * shrink);
      }
    }
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
#pragma unroll
      for (int i = 0; i < kEach; ++i) sums[warp][h][lane + i * kWarp] = sum[h].v[i];
      if (lane == 0) {
        tops[warp][h] = top[h];
        totals[warp][h] = total[h];
      }
    }
    __syncthreads();
    // Warp w puts together head first + w.
    static_assert(kHeads == kWarps);
    if (warp < heads) {
      float most = -INFINITY, all = 0.0f;
      for (int w = 0; w < kWarps; ++w) most = fmaxf(most, tops[w][warp]);
      Head out{};
      for (int w = 0; w < kWarps; ++w) {
        const float weight = expf(tops[w][warp] - most);
        all = fmaf(totals[w][warp], weight, all);
#pragma unroll
        for (int i = 0; i < kEach; ++i)
          out.v[i] = fmaf(sums[w][warp][lane + i * kWarp], weight, out.v[i]);
      }
      float* const place = args.place(b, first + warp, chunk);
#pragma unroll
      for (int i = 0; i < kEach; ++i)
        if (element<kCount>(i) < d) place[element<kCount>(i)] = out.v[i];
      if (lane == 0) {
        place[d] = most;
        place[d + 1] = all;
      }
    }
    __syncthreads();
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) decode_combine_kernel(T* out, DecodeArgs args) {
  const int64_t b = blockIdx.y;
  const int head = static_cast<int>(blockIdx.x), d = args.head_dim;
  const int length = args.lengths[b];
  T* const place = out + (b * args.heads + head) * static_cast<int64_t>(d);
  const int begin = args.first_position(length) / kChunk, end = (length + kChunk - 1) / kChunk;
  float most = -INFINITY, total = 0.0f;
  for (int c = begin; c < end; ++c) most = fmaxf(most, args.place(b, head, c)[d]);
  for (int c = begin; c < end; ++c) {
    const float* const part = args.place(b, head, c);
    total = fmaf(part[d + 1], expf(part[d] - most), total);
  }
  for (int i = static_cast<int>(threadIdx.x); i < d; i += kThreads) {
    float sum = 0.0f;
    for (int c = begin; c < end; ++c) {
      const float* const part = args.place(b, head, c);
      sum = fmaf(part[i], expf(part[d] - most), sum);
    }
    place[i] = from_f32<T>(length > 0 ? sum / total : 0.0f);
  }
}

}  // namespace

void attention_decode(const AttentionDecode& op, Stream stream) {
  const int64_t batch = op.out.dim(0), room = op.keys.dim(1);
  if (batch == 0) return;
  const int64_t longest = op.longest > 0 ? std::min(op.longest, room) : room;
  CHECK(room <= INT32_MAX - kChunk && op.shape.window <= INT32_MAX);
  const auto d = static_cast<int>(op.shape.head_dim);
  const DecodeArgs args = {.lengths = device_pointer<int32_t>(op.lengths),
                           .partial = device_pointer<float>(op.scratch),
                           .q_stride = op.q.row_stride,
                           .room = room,
                           .heads = static_cast<int>(op.shape.heads),
                           .kv_heads = static_cast<int>(op.shape.kv_heads),
                           .head_dim = d,
                           .window = static_cast<int>(op.shape.window),
                           .chunks = static_cast<int>((longest + kChunk - 1) / kChunk),
                           .scale = op.shape.scale};
  const cudaStream_t where = queue(stream).stream;
  const char* const name = "attention_decode";
  const bool fours = d % 4 == 0 && wide_rows(op.q, op.q.dim(1), 4) && wide_rows(op.keys, d, 4) &&
                     wide_rows(op.values, d, 4);
  with_float_type(op.out.dtype, [&](auto type) {
    using T = decltype(type);
    with_float_type(op.keys.dtype, [&](auto cached) {
      using C = decltype(cached);
      const Launch chunks = {
          .grid = dim3(static_cast<unsigned>(args.chunks), static_cast<unsigned>(args.kv_heads),
                       static_cast<unsigned>(batch)),
          .block = dim3(kThreads),
          .stream = where,
          .name = name};
      const auto* q = device_pointer<T>(op.q);
      const auto *keys = device_pointer<C>(op.keys), *values = device_pointer<C>(op.values);
      if (args.chunks > 0 && fours)
        launch(decode_chunk_kernel<T, C, 4>, chunks, q, keys, values, args);
      else if (args.chunks > 0)
        launch(decode_chunk_kernel<T, C, 1>, chunks, q, keys, values, args);
    });
    launch(decode_combine_kernel<T>,
           {.grid = dim3(static_cast<unsigned>(args.heads), static_cast<unsigned>(batch)),
            .block = dim3(kThreads),
            .stream = where,
            .name = name},
           device_pointer<T>(op.out), args);
  });
}

}  // namespace nibble::cuda
