// SPDX-License-Identifier: Apache-2.0
// Decoding (split keys and values: Dao et al., "Flash-Decoding", 2023): a block takes a chunk of
// one sequence's cached positions and the query heads that share a key head; the blocks of a
// sequence meet in a second kernel. Where a sequence is cut depends on nothing but its own
// positions: chunks are short, so that one sequence alone keeps a whole GPU busy, and longer where
// a long sequence would have too many. A few lanes share a position and hold several at once, whose
// keys and values are on their way together; lanes then have one score each, of another head or
// position.
#include <algorithm>
#include <cfloat>
#include <cmath>

#include "kernels/attention.h"
#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"

namespace nibble::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarp;
constexpr int kHeads = 4;  // query heads of a sweep over the keys
constexpr int kEach = 8;   // elements of a head a lane holds: 256 / 32
constexpr int kQuad = 4;   // of one access of partial sums
constexpr int kChunk = static_cast<int>(kDecodeChunk);
constexpr int kMostChunks = static_cast<int>(kMostDecodeChunks);

struct DecodeArgs {
  const int32_t* lengths;
  float* partial;  // (B, H, chunks, D + 4): sums over values, maximum, total, two unused
  int64_t q_stride, room;
  int heads, kv_heads, head_dim, window, chunks;
  float scale;

  __device__ __forceinline__ float* place(int64_t b, int64_t head, int64_t chunk) const {
    return partial + ((b * heads + head) * chunks + chunk) * (head_dim + kQuad);
  }
  __device__ __forceinline__ int first_position(int length) const {
    return window > 0 ? max(length - window, 0) : 0;
  }
  // Positions of each chunk of the sequence.
  __device__ __forceinline__ int chunk_of(int length) const {
    int chunk = kChunk;
    while (chunk * int64_t{kMostChunks} < length - first_position(length)) chunk *= 2;
    return chunk;
  }
  __device__ __forceinline__ int chunks_of(int length) const {
    const int chunk = chunk_of(length);
    return (length - first_position(length) + chunk - 1) / chunk;
  }
};

// How a warp reads heads: each kLanes lanes take a position, and kSteps of them at once. In lane l,
// element i is the l * kEach + i -th or, where heads cannot be read in whole units, the
// i * kLanes + l -th.
template <int kLanesOfOne, bool kInUnits>
struct Form {
  static constexpr int kLanes = kLanesOfOne, kGroups = kWarp / kLanes;
  static constexpr bool kUnits = kInUnits;
  static constexpr int kSteps = kLanes == 16 ? 4 : 2;  // as registers allow
  static constexpr int kScores = kHeads * kSteps;
  static_assert(kLanes % kScores == 0);
  static constexpr int kOwners = kLanes / kScores;  // lanes that end with the same score

  static __device__ __forceinline__ int lane() { return static_cast<int>(threadIdx.x) % kLanes; }
  static __device__ __forceinline__ int element(int of_lane, int i) {
    return kUnits ? of_lane * kEach + i : i * kLanes + of_lane;
  }
  template <class T>
  static __device__ __forceinline__ Packed<T, kEach> read(const T* p, int d, bool there) {
    Packed<T, kEach> x{};
    if constexpr (kUnits) {
      if (there && lane() * kEach < d) x = read_packed<kEach>(p + lane() * kEach);
    } else {
#pragma unroll
      for (int i = 0; i < kEach; ++i)
        if (there && element(lane(), i) < d) x.element[i] = p[element(lane(), i)];
    }
    return x;
  }
};

// Sums over lanes that differ in the bits from kStep down to kLast, of kLeft numbers at a time.
// Each step also halves the numbers a lane has, the lane with that bit keeping the upper ones,
// until there is one left.
template <int kLeft, int kStep, int kLast, int kCount>
__device__ __forceinline__ void sums_apart(float (&x)[kCount]) {
  const bool upper = (threadIdx.x & static_cast<unsigned>(kStep)) != 0;
  constexpr int kHalf = kLeft > 1 ? kLeft / 2 : 0;
  if constexpr (kHalf == 0) x[0] += __shfl_xor_sync(kAllLanes, x[0], kStep);
#pragma unroll
  for (int i = 0; i < kHalf; ++i) {
    const float other = __shfl_xor_sync(kAllLanes, upper ? x[i] : x[i + kHalf], kStep);
    x[i] = (upper ? x[i + kHalf] : x[i]) + other;
  }
  if constexpr (kStep > kLast) sums_apart<(kHalf > 1 ? kHalf : 1), kStep / 2, kLast>(x);
}

template <class T, class C, class F>
__global__ void __launch_bounds__(kThreads, 2)
    decode_chunk_kernel(const T* q, const C* keys, const C* values, DecodeArgs args) {
  constexpr int kLanes = F::kLanes, kGroups = F::kGroups, kSteps = F::kSteps;
  constexpr int kQuads = kHeads * kEach / kQuad;  // of a lane
  // Of each warp and head two quads a lane, which lie apart.
  alignas(16) __shared__ Floats<kQuad> sums[kWarps][kQuads * kLanes];
  __shared__ float tops[kWarps][kHeads], totals[kWarps][kHeads];
  const int64_t b = blockIdx.z;
  const int kv = static_cast<int>(blockIdx.y);
  const int length = args.lengths[b], d = args.head_dim;
  if (static_cast<int>(blockIdx.x) >= args.chunks_of(length)) return;
  const int chunk = args.chunk_of(length);
  const int begin = args.first_position(length) + static_cast<int>(blockIdx.x) * chunk;
  const int end = min(begin + chunk, length);
  const int warp = static_cast<int>(threadIdx.x) / kWarp,
            lane = static_cast<int>(threadIdx.x) % kWarp;
  const int slot = warp * kGroups + lane / kLanes;
  const int own_head = F::lane() / F::kOwners / kSteps, own_step = F::lane() / F::kOwners % kSteps;
  const int group = args.heads / args.kv_heads;
  const int64_t row = static_cast<int64_t>(args.kv_heads) * d;
  const int64_t cached = (b * args.room + begin) * row + static_cast<int64_t>(kv) * d;
  for (int first = kv * group; first < (kv + 1) * group; first += kHeads) {
    const int heads = min(kHeads, (kv + 1) * group - first);
    Floats<kEach> query[kHeads], sum[kHeads] = {};
    float top = -FLT_MAX, total = 0.0f;  // of the lane's own head; total of its own steps
#pragma unroll
    for (int h = 0; h < kHeads; ++h)  // a head too many repeats the last and is thrown away
      query[h] = floats(F::read(q + b * args.q_stride + (first + min(h, heads - 1)) * d, d, true));
    for (int base = 0; base < end - begin; base += kWarps * kGroups * kSteps) {
      const auto position = [&](int s) { return base + s * kWarps * kGroups + slot; };
      Packed<C, kEach> key[kSteps], value[kSteps];
#pragma unroll
      for (int s = 0; s < kSteps; ++s)
        key[s] = F::read(keys + cached + position(s) * row, d, position(s) < end - begin);
#pragma unroll
      for (int s = 0; s < kSteps; ++s)
        value[s] = F::read(values + cached + position(s) * row, d, position(s) < end - begin);

      float scores[F::kScores];
#pragma unroll
      for (int s = 0; s < kSteps; ++s) {
        const Floats<kEach> k = floats(key[s]);
#pragma unroll
        for (int h = 0; h < kHeads; ++h) {
          float score = 0.0f;
#pragma unroll
          for (int i = 0; i < kEach; ++i) score = fmaf(query[h].v[i], k.v[i], score);
          scores[h * kSteps + s] = score;
        }
      }
      sums_apart<F::kScores, kLanes / 2, 1>(scores);
      const float score = position(own_step) < end - begin ? scores[0] * args.scale : -INFINITY;
      float most = fmaxf(top, score);
#pragma unroll
      for (int step = 1; step < kSteps; step *= 2)
        most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, step * F::kOwners));
      const float shrink = expf(top - most), p = expf(score - most);
      top = most;
      total = total * shrink + p;
#pragma unroll
      for (int h = 0; h < kHeads; ++h) {
        const float less = __shfl_sync(kAllLanes, shrink, h * kSteps * F::kOwners, kLanes);
#pragma unroll
        for (int i = 0; i < kEach; ++i) sum[h].v[i] *= less;
      }
#pragma unroll
      for (int s = 0; s < kSteps; ++s) {
        const Floats<kEach> v = floats(value[s]);
#pragma unroll
        for (int h = 0; h < kHeads; ++h) {
          const float share = __shfl_sync(kAllLanes, p, (h * kSteps + s) * F::kOwners, kLanes);
#pragma unroll
          for (int i = 0; i < kEach; ++i) sum[h].v[i] = fmaf(share, v.v[i], sum[h].v[i]);
        }
      }
    }

    // The positions of a warp meet: each group of lanes ends with some of the sums.
    float most = top;
#pragma unroll
    for (int step = kLanes; step < kWarp; step *= 2)
      most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, step));
    const float weight = expf(top - most);
    float flat[kHeads * kEach];
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      const float of_head = __shfl_sync(kAllLanes, weight, h * kSteps * F::kOwners, kLanes);
#pragma unroll
      for (int i = 0; i < kEach; ++i) flat[h * kEach + i] = sum[h].v[i] * of_head;
    }
    total *= weight;
#pragma unroll
    for (int step = F::kOwners; step < F::kOwners * kSteps; step *= 2)
      total += __shfl_xor_sync(kAllLanes, total, step);
#pragma unroll
    for (int step = kLanes; step < kWarp; step *= 2)
      total += __shfl_xor_sync(kAllLanes, total, step);
    if constexpr (kGroups > 1) sums_apart<kHeads * kEach, kWarp / 2, kLanes>(flat);
#pragma unroll
    for (int i = 0; i < kQuads / kGroups; ++i) {
      Floats<kQuad> quad;
#pragma unroll
      for (int k = 0; k < kQuad; ++k) quad.v[k] = flat[i * kQuad + k];
      store_shared(&sums[warp][(lane / kLanes * (kQuads / kGroups) + i) * kLanes + F::lane()],
                   quad);
    }
    if (lane < kLanes && own_step == 0 && lane % F::kOwners == 0) {
      tops[warp][own_head] = most;
      totals[warp][own_head] = total;
    }
    __syncthreads();
    // And the warps of the block: a thread takes a quad of one head.
    const int at = static_cast<int>(threadIdx.x) / kLanes, head = at / (kEach / kQuad);
    if (at < kQuads && head < heads) {
      float best = -FLT_MAX, all = 0.0f;
#pragma unroll
      for (int w = 0; w < kWarps; ++w) best = fmaxf(best, tops[w][head]);
      Floats<kQuad> out{};
#pragma unroll
      for (int w = 0; w < kWarps; ++w) {
        const float of_warp = expf(tops[w][head] - best);
        all = fmaf(totals[w][head], of_warp, all);
        const Floats<kQuad> part = load(&sums[w][threadIdx.x]);
#pragma unroll
        for (int k = 0; k < kQuad; ++k) out.v[k] = fmaf(part.v[k], of_warp, out.v[k]);
      }
      float* const place = args.place(b, first + head, blockIdx.x);
      const int from = F::element(F::lane(), at % (kEach / kQuad) * kQuad);
      if (F::kUnits) {
        if (from < d) write(place + from, out);
      } else {
#pragma unroll
        for (int k = 0; k < kQuad; ++k)
          if (from + k * kLanes < d) place[from + k * kLanes] = out.v[k];
      }
      if (F::lane() == 0 && at % (kEach / kQuad) == 0) {
        place[d] = best;
        place[d + 1] = all;
      }
    }
    __syncthreads();
  }
}

// A block a head: its warps take every kWarps-th chunk, all at once, its lanes elements.
template <class T, int kCount>
__global__ void __launch_bounds__(kThreads) decode_combine_kernel(T* out, DecodeArgs args) {
  constexpr int kTurns = kMostChunks / kWarps, kTops = kMostChunks / kWarp;
  alignas(16) __shared__ float sums[kWarps][kEach * kWarp];
  const int64_t b = blockIdx.y;
  const int head = static_cast<int>(blockIdx.x), d = args.head_dim;
  const int length = args.lengths[b], chunks = args.chunks_of(length);
  const int warp = static_cast<int>(threadIdx.x) / kWarp,
            lane = static_cast<int>(threadIdx.x) % kWarp;
  T* const place = out + (b * args.heads + head) * static_cast<int64_t>(d);
  // Every warp weighs all chunks.
  float top[kTops], total[kTops], most = -FLT_MAX, all = 0.0f;
#pragma unroll
  for (int i = 0; i < kTops; ++i) {
    const int c = lane + i * kWarp;
    const float* const of_chunk = args.place(b, head, c) + d;
    top[i] = c < chunks ? of_chunk[0] : -INFINITY;
    total[i] = c < chunks ? of_chunk[1] : 0.0f;
  }
#pragma unroll
  for (int i = 0; i < kTops; ++i) most = fmaxf(most, top[i]);
  most = warp_max(most);
#pragma unroll
  for (int i = 0; i < kTops; ++i) {
    top[i] = expf(top[i] - most);
    all = fmaf(total[i], top[i], all);
  }
  all = warp_sum(all);
  float weights[kTurns];
#pragma unroll
  for (int turn = 0; turn < kTurns; ++turn) {
    static_assert(kWarp % kWarps == 0);
    weights[turn] =
        __shfl_sync(kAllLanes, top[turn * kWarps / kWarp], turn * kWarps % kWarp + warp);
  }
  for (int i = lane * kCount; i < d; i += kWarp * kCount) {
    Floats<kCount> part[kTurns], sum{};
#pragma unroll
    for (int turn = 0; turn < kTurns; ++turn) {
      const int c = turn * kWarps + warp;
      part[turn] = {};
      if (c < chunks) part[turn] = read<kCount>(args.place(b, head, c) + i);
    }
#pragma unroll
    for (int turn = 0; turn < kTurns; ++turn)
#pragma unroll
      for (int k = 0; k < kCount; ++k) sum.v[k] = fmaf(part[turn].v[k], weights[turn], sum.v[k]);
    write<Space::kShared>(&sums[warp][i], sum);
  }
  __syncthreads();
  const int i = static_cast<int>(threadIdx.x);
  static_assert(kThreads >= kEach * kWarp);
  if (i >= d) return;
  float sum = 0.0f;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) sum += sums[w][i];
  place[i] = from_f32<T>(length > 0 ? sum / all : 0.0f);
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
                           .chunks = static_cast<int>(decode_chunks(op.shape, longest)),
                           .scale = op.shape.scale};
  const cudaStream_t where = queue(stream).stream;
  const char* const name = "attention_decode";
  const bool units = d % kEach == 0 && wide_rows(op.q, op.q.dim(1), kEach) &&
                     wide_rows(op.keys, d, kEach) && wide_rows(op.values, d, kEach);
  with_float_type(op.out.dtype, [&](auto type) {
    using T = decltype(type);
    with_float_type(op.keys.dtype, [&](auto cached) {
      using C = decltype(cached);
      const auto run = [&](auto form) {
        if (args.chunks == 0) return;
        launch(decode_chunk_kernel<T, C, decltype(form)>,
               {.grid = dim3(static_cast<unsigned>(args.chunks),
                             static_cast<unsigned>(args.kv_heads), static_cast<unsigned>(batch)),
                .block = dim3(kThreads),
                .stream = where,
                .name = name},
               device_pointer<T>(op.q), device_pointer<C>(op.keys), device_pointer<C>(op.values),
               args);
      };
      if (!units)
        run(Form<kWarp, false>());
      else if (d <= 8 * kEach)
        run(Form<8, true>());
      else if (d <= 16 * kEach)
        run(Form<16, true>());
      else
        run(Form<kWarp, true>());
    });
    const Launch combine = {
        .grid = dim3(static_cast<unsigned>(args.heads), static_cast<unsigned>(batch)),
        .block = dim3(kThreads),
        .stream = where,
        .name = name};
    if (d % kQuad == 0 && wide_rows(op.scratch, d, kQuad))
      launch(decode_combine_kernel<T, kQuad>, combine, device_pointer<T>(op.out), args);
    else
      launch(decode_combine_kernel<T, 1>, combine, device_pointer<T>(op.out), args);
  });
}

}  // namespace nibble::cuda
