// SPDX-License-Identifier: Apache-2.0
// Which logits of a row stay: thresholds, found by selection and not by sorting. What is to be
// counted (top-k) or weighed (top-p) is summed in 256 bins, first by distance from the largest,
// which spreads a row's logits, then digit by digit within the bin where the threshold lies. Once
// few can stay, they are listed, and the rest of the row is not read again. Sums are of integers:
// no order of the additions shows.
#pragma once

#include "kernels/cuda/sample_row.h"

namespace nibble::cuda::sampling {

constexpr int kBins = 256;
constexpr int kListed = kThreads;

using Sum = unsigned long long;

// An integer in the order of the floats.
__device__ __forceinline__ uint32_t order_of(float x) {
  const uint32_t bits = detail::recast<uint32_t>(x + 0.0f);  // one zero
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// What the threads of a block share.
struct Room {
  Sum sums[kWarps];
  int bin;
  Sum left;
  uint32_t low[kBins], high[kBins];  // of sums
  int listed;
  int32_t places[kListed];
  float values[kListed];
};

// Adds to a sum of 64 bits by what hardware has in shared memory, additions of 32: carries are seen
// whatever their order.
__device__ __forceinline__ void add_to_bin(Room& room, int bin, uint32_t one) {
  atomicAdd(&room.low[bin], one);
}
__device__ __forceinline__ void add_to_bin(Room& room, int bin, Sum weight) {
  const auto low = static_cast<uint32_t>(weight);
  const uint32_t before = atomicAdd(&room.low[bin], low);
  const uint32_t high = static_cast<uint32_t>(weight >> 32) + (before + low < before ? 1u : 0u);
  if (high > 0) atomicAdd(&room.high[bin], high);
}
__device__ __forceinline__ Sum bin_of(const Room& room, int bin) {
  return static_cast<Sum>(room.high[bin]) << 32 | room.low[bin];
}

// The row, or what is listed of it in its order.
template <class T>
struct View {
  const Row<T>& row;
  Room& room;
  int count;
  bool listed = false;
  __device__ __forceinline__ float at(int i) const { return listed ? room.values[i] : row.at(i); }
  template <class Body>
  __device__ __forceinline__ void each(const Body& body) const {
    if (!listed) return row.template each<kThreads>(0, count, body);
    if (static_cast<int>(threadIdx.x) < count) body(threadIdx.x, room.values[threadIdx.x]);
  }
  // Lists what of the row may stay, unless that is too much.
  template <class Keep>
  __device__ void list(const Keep& keep) {
    const int thread = static_cast<int>(threadIdx.x);
    if (thread == 0) room.listed = 0;
    __syncthreads();
    row.template each<kThreads>(0, count, [&](int i, float x) {
      if (!keep(x)) return;
      const int slot = atomicAdd(&room.listed, 1);
      if (slot >= kListed) return;
      room.places[slot] = i;
      room.values[slot] = x;
    });
    __syncthreads();
    const int all = room.listed;
    if (all > kListed) return;
    const int32_t place = thread < all ? room.places[thread] : 0;
    const float value = thread < all ? room.values[thread] : 0.0f;
    int before = 0;
    for (int i = 0; thread < all && i < all; ++i) before += room.places[i] < place ? 1 : 0;
    __syncthreads();
    if (thread < all) {
      room.places[before] = place;
      room.values[before] = value;
    }
    __syncthreads();
    count = all;
    listed = true;
  }
};

__device__ __forceinline__ Sum warp_sum_of(Sum x) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
  return x;
}

// The sum of measure(i, x) over the view, given to every thread.
template <class T, class Measure>
__device__ Sum sum_of(const View<T>& view, const Measure& measure) {
  Room& room = view.room;
  Sum sum = 0;
  view.each([&](int i, float x) { sum += measure(i, x); });
  sum = warp_sum_of(sum);
  if (lane() == 0) room.sums[warp()] = sum;
  __syncthreads();
  sum = warp_sum_of(room.sums[lane()]);
  __syncthreads();
  return sum;
}

// The first i at which measure(0) + ... + measure(i) is above target; the whole sum is.
template <class Measure>
__device__ int place_of(Sum target, int count, Room& room, const Measure& measure) {
  int begin = 0, end = count;
  while (end - begin > kWarp) {  // a warp sums a part, all look which part it is
    const int part = (end - begin + kWarps - 1) / kWarps;
    const int first = begin + warp() * part, last = min(first + part, end);
    Sum sum = 0;
#pragma unroll 4
    for (int i = first + lane(); i < last; i += kWarp) sum += measure(i);
    sum = warp_sum_of(sum);
    if (lane() == 0) room.sums[warp()] = sum;
    __syncthreads();
    int w = 0;
    while (w < kWarps - 1 && room.sums[w] <= target) target -= room.sums[w++];
    __syncthreads();
    begin += w * part;
    end = min(begin + part, end);
  }
  for (; begin < end - 1; ++begin) {
    const Sum here = measure(begin);
    if (here > target) break;
    target -= here;
  }
  return begin;
}

// The bin in which the sums from bin 0 on reach `need`; room.left is what it must bring itself.
inline __device__ void find_bin(Room& room, Sum need) {
  constexpr int kEach = kBins / kWarp;
  if (warp() == 0) {
    Sum own = 0;
    for (int i = 0; i < kEach; ++i) own += bin_of(room, lane() * kEach + i);
    Sum before = own;
#pragma unroll
    for (int step = 1; step < kWarp; step *= 2) {
      const Sum other = __shfl_up_sync(kAllLanes, before, step);
      if (lane() >= step) before += other;
    }
    before -= own;
    if (before < need && need <= before + own) {
      int bin = lane() * kEach;
      while (before + bin_of(room, bin) < need) before += bin_of(room, bin++);
      room.bin = bin;
      room.left = need - before;
    }
  }
  __syncthreads();
}

// The threshold t for which the measures of all x of order t or above first reach `need`, going
// down from the largest; `left` is what those of order t must bring. What lies above it or in its
// first bin is then listed, if it can be.
struct Threshold {
  uint32_t order;
  Sum left;
};
template <class T, class Measure>
__device__ Threshold select(View<T>& view, float top, Sum need, const Measure& measure) {
  Room& room = view.room;
  // Bins of an eighth, as far as weights reach.
  const auto distance = [&](float x) {
    const float far = (top - x) * 8.0f;
    return far < static_cast<float>(kBins - 1) ? static_cast<int>(far) : kBins - 1;
  };
  int coarse = 0;
  uint32_t found = 0, known = 0;  // bits of the order, and which of them are known
  for (int shift = 32; shift >= 0; shift -= 8) {
    if (threadIdx.x < kBins) room.low[threadIdx.x] = room.high[threadIdx.x] = 0;
    __syncthreads();
    const bool first = shift == 32;
    view.each([&](int i, float x) {
      const uint32_t order = order_of(x);
      if (!first && (distance(x) != coarse || (order & known) != found)) return;
      const auto weight = measure(i, x);
      const int bin = first ? distance(x) : kBins - 1 - static_cast<int>(order >> shift & 0xffu);
      if (weight > 0) add_to_bin(room, bin, weight);
    });
    __syncthreads();
    find_bin(room, need);  // which it writes again after two barriers more
    need = room.left;
    if (first) {
      coarse = room.bin;
      if (!view.listed) view.list([&](float x) { return distance(x) <= coarse; });
    } else {
      found |= static_cast<uint32_t>(kBins - 1 - room.bin) << shift;
      known |= 0xffu << shift;
    }
  }
  return {found, need};
}

}  // namespace nibble::cuda::sampling
