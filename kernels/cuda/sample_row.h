// SPDX-License-Identifier: Apache-2.0
// A row of logits as sampling sees them, and its largest.
#pragma once

#include <cfloat>
#include <cmath>

#include "kernels/cuda/values.h"
#include "kernels/sample.h"

namespace nibble::cuda::sampling {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / kWarp;
constexpr int kParts = static_cast<int>(kSampleParts);
constexpr int kPartThreads = 256;
static_assert(kParts == kWarp);

struct SampleArgs {
  int32_t* chosen;
  float* processed;
  const int32_t *lengths, *sequences, *seen;
  int64_t v, words;
  float temperature, penalty;
  int64_t top_k;
  double top_p;
  uint64_t least_weight, seed;
  float* tops;  // (B, kParts) of the parts of rows, then where they are
  int rows, part;
  bool wide;  // rows can be read 16 bytes at a time

  __device__ __forceinline__ int32_t* places() const {
    return reinterpret_cast<int32_t*>(tops + static_cast<int64_t>(rows) * kParts);
  }
};

// A row of logits as sampling sees them.
template <class T>
struct Row {
  const T* raw;
  const int32_t* seen;
  float temperature, penalty;
  bool wide;
  __device__ __forceinline__ Row(const T* logits, const SampleArgs& args, int64_t row)
      : raw(logits + row * args.v),
        seen(args.seen ? args.seen + row * args.words : nullptr),
        temperature(args.temperature),
        penalty(args.penalty),
        wide(args.wide) {}

  __device__ __forceinline__ float value(float x, bool was_seen) const {
    if (was_seen) x = x < 0 ? x * penalty : x / penalty;
    return temperature > 0.0f ? x / temperature : x;
  }
  __device__ __forceinline__ float at(int i) const {
    return value(to_f32(raw[i]), seen && (static_cast<uint32_t>(seen[i / 32]) >> (i % 32) & 1u));
  }
  // body(i, x) for the elements from begin, which is a whole access, to end.
  template <int kBlock, class Body>
  __device__ __forceinline__ void each(int begin, int end, const Body& body) const {
    constexpr int kCount = kWide<T>, kAtOnce = kBlock < 1024 ? 2 : 1;  // as registers allow
    const int thread = static_cast<int>(threadIdx.x);
    if (!wide) {
      for (int i = begin + thread; i < end; i += kBlock) body(i, at(i));
      return;
    }
    for (int first = begin + thread * kCount; first < end; first += kBlock * kCount * kAtOnce) {
      Packed<T, kCount> x[kAtOnce] = {};
      uint32_t words[kAtOnce] = {};
#pragma unroll
      for (int a = 0; a < kAtOnce; ++a) {
        const int i = first + a * kBlock * kCount;
        if (i >= end) continue;
        x[a] = read_packed<kCount>(raw + i);
        if (seen) words[a] = static_cast<uint32_t>(seen[i / 32]) >> (i % 32);
      }
#pragma unroll
      for (int a = 0; a < kAtOnce; ++a) {
        const int i = first + a * kBlock * kCount;
        if (i >= end) continue;
#pragma unroll
        for (int k = 0; k < kCount; ++k)
          body(i + k, value(to_f32(x[a].element[k]), words[a] >> k & 1u));
      }
    }
  }
};

// The first of the largest; a number that is none, or is infinite, is larger than all.
struct Largest {
  float top = -INFINITY;
  int32_t place = 0;
  __device__ __forceinline__ void look_at(int i, float x) {
    const bool finite = fabsf(x) <= FLT_MAX;
    if (finite && !(x > top)) return;
    top = finite ? x : INFINITY;
    place = finite ? i : kNotFinite;
  }
  // Of all lanes, given to each.
  __device__ __forceinline__ void meet() {
#pragma unroll
    for (int step = kWarp / 2; step > 0; step /= 2) {
      const float other = __shfl_xor_sync(kAllLanes, top, step);
      const int32_t other_place = __shfl_xor_sync(kAllLanes, place, step);
      if (other > top || (other == top && other_place < place)) {
        top = other;
        place = other_place;
      }
    }
  }
};

__device__ __forceinline__ int lane() {
  return static_cast<int>(threadIdx.x) % kWarp;
}
__device__ __forceinline__ int warp() {
  return static_cast<int>(threadIdx.x) / kWarp;
}

}  // namespace nibble::cuda::sampling
