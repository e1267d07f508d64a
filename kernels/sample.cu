// SPDX-License-Identifier: Apache-2.0
// A block a row. Which logits stay is found as thresholds, by selection and not by sorting: what is
// to be counted (top-k) or weighed (top-p) is summed in 256 bins, first by distance from the
// largest, which spreads a row's logits, then digit by digit within the bin where the threshold
// lies. Sums are of integers: no order of the additions shows.
#include "kernels/sample.h"

#include <cfloat>
#include <cmath>

#include "kernels/cuda/twins.h"
#include "kernels/cuda/values.h"
#include "kernels/sample_weight.h"

namespace nibble::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / kWarp;
constexpr int kBins = 256;

using Sum = unsigned long long;  // as atomicAdd calls 64 bits

// An integer in the order of the floats.
__device__ __forceinline__ uint32_t order_of(float x) {
  const uint32_t bits = detail::recast<uint32_t>(x + 0.0f);  // one zero
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

struct SampleArgs {
  int32_t* chosen;
  float* processed;
  const int32_t *lengths, *sequences, *seen;
  int64_t v, words;
  float temperature, penalty;
  int64_t top_k;
  double top_p;
  uint64_t least_weight, seed;
};

// What the threads of a block share.
struct Room {
  Sum sums[kWarps];
  float tops[kWarps];
  int32_t places[kWarps];
  int bin;
  Sum left;
  Sum bins[kBins];
};

__device__ __forceinline__ Sum warp_sum_of(Sum x) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
  return x;
}
__device__ __forceinline__ int lane() {
  return static_cast<int>(threadIdx.x) % kWarp;
}
__device__ __forceinline__ int warp() {
  return static_cast<int>(threadIdx.x) / kWarp;
}

// The sum of measure(v) over the row, given to every thread.
template <class Measure>
__device__ Sum row_sum(int64_t v, Room& room, const Measure& measure) {
  Sum sum = 0;
  for (int64_t i = threadIdx.x; i < v; i += kThreads) sum += measure(i);
  sum = warp_sum_of(sum);
  if (lane() == 0) room.sums[warp()] = sum;
  __syncthreads();
  sum = warp_sum_of(room.sums[lane()]);
  __syncthreads();
  return sum;
}

// The first v at which measure(0) + ... + measure(v) is above target; the whole sum is.
template <class Measure>
__device__ int64_t place_of(Sum target, int64_t v, Room& room, const Measure& measure) {
  int64_t begin = 0, end = v;
  while (end - begin > kWarp) {  // a warp sums a part, all look which part it is
    const int64_t part = (end - begin + kWarps - 1) / kWarps;
    const int64_t first = begin + warp() * part, last = first + part < end ? first + part : end;
    Sum sum = 0;
    for (int64_t i = first + lane(); i < last; i += kWarp) sum += measure(i);
    sum = warp_sum_of(sum);
    if (lane() == 0) room.sums[warp()] = sum;
    __syncthreads();
    int w = 0;
    while (w < kWarps - 1 && room.sums[w] <= target) target -= room.sums[w++];
    __syncthreads();
    begin += w * part;
    end = begin + part < end ? begin + part : end;
  }
  for (; begin < end - 1; ++begin) {
    const Sum here = measure(begin);
    if (here > target) break;
    target -= here;
  }
  return begin;
}

// The bin in which the sums from bin 0 on reach `need`; room.left is what it must bring itself.
__device__ void find_bin(Room& room, Sum need) {
  constexpr int kEach = kBins / kWarp;
  if (warp() == 0) {
    Sum own = 0;
    for (int i = 0; i < kEach; ++i) own += room.bins[lane() * kEach + i];
    Sum before = own;
#pragma unroll
    for (int step = 1; step < kWarp; step *= 2) {
      const Sum other = __shfl_up_sync(kAllLanes, before, step);
      if (lane() >= step) before += other;
    }
    before -= own;
    if (before < need && need <= before + own) {
      int bin = lane() * kEach;
      while (before + room.bins[bin] < need) before += room.bins[bin++];
      room.bin = bin;
      room.left = need - before;
    }
  }
  __syncthreads();
}

// The threshold t for which the measures of all x of order t or above first reach `need`, going
// down from the largest; `left` is what those of order t must bring.
struct Threshold {
  uint32_t order;
  Sum left;
};
template <class Value, class Measure>
__device__ Threshold select(int64_t v, float top, Sum need, Room& room, const Value& value,
                            const Measure& measure) {
  // Bins of an eighth, as far as weights reach.
  const auto distance = [&](float x) {
    const float far = (top - x) * 8.0f;
    return far < static_cast<float>(kBins - 1) ? static_cast<int>(far) : kBins - 1;
  };
  int coarse = 0;
  uint32_t found = 0, known = 0;  // bits of the order, and which of them are known
  for (int shift = 32; shift >= 0; shift -= 8) {
    if (threadIdx.x < kBins) room.bins[threadIdx.x] = 0;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < v; i += kThreads) {
      const float x = value(i);
      const uint32_t order = order_of(x);
      const bool first = shift == 32;
      if (!first && (distance(x) != coarse || (order & known) != found)) continue;
      const Sum weight = measure(i, x);
      const int bin = first ? distance(x) : kBins - 1 - static_cast<int>(order >> shift & 0xffu);
      if (weight > 0) atomicAdd(&room.bins[bin], weight);
    }
    __syncthreads();
    find_bin(room, need);  // which it writes again after two barriers more
    need = room.left;
    if (shift == 32) {
      coarse = room.bin;
    } else {
      found |= static_cast<uint32_t>(kBins - 1 - room.bin) << shift;
      known |= 0xffu << shift;
    }
  }
  return {found, need};
}

template <class T>
__global__ void __launch_bounds__(kThreads) sample_kernel(const T* logits, SampleArgs args) {
  __shared__ Room room;
  const int64_t row = blockIdx.x, v = args.v;
  const T* const raw = logits + row * v;
  const int32_t* const seen = args.seen ? args.seen + row * args.words : nullptr;
  float* const processed = args.processed ? args.processed + row * v : nullptr;
  const int32_t length = args.lengths[row];
  const auto finish = [&](int32_t chosen) {
    if (threadIdx.x == 0) args.chosen[row] = chosen;
  };
  if (length == 0) {
    finish(0);
    for (int64_t i = threadIdx.x; processed && i < v; i += kThreads) processed[i] = -INFINITY;
    return;
  }
  const auto value = [&](int64_t i) {
    float x = to_f32(raw[i]);
    if (seen && static_cast<uint32_t>(seen[i / 32]) >> (i % 32) & 1u)
      x = x < 0 ? x * args.penalty : x / args.penalty;
    return args.temperature > 0.0f ? x / args.temperature : x;
  };

  // The first of the largest; a number that is none, or is infinite, is larger than all.
  float top = -INFINITY;
  int32_t place = 0;
  for (int64_t i = threadIdx.x; i < v; i += kThreads) {
    const float x = value(i);
    const bool finite = fabsf(x) <= FLT_MAX;
    if (processed) processed[i] = x;
    if (finite && !(x > top)) continue;
    top = finite ? x : INFINITY;
    place = finite ? static_cast<int32_t>(i) : kNotFinite;
    if (!finite) break;
  }
  const auto larger = [&](float other, int32_t other_place) {
    if (other > top || (other == top && other_place < place)) {
      top = other;
      place = other_place;
    }
  };
  const auto largest_of_warp = [&] {
#pragma unroll
    for (int step = kWarp / 2; step > 0; step /= 2) {
      const float other = __shfl_xor_sync(kAllLanes, top, step);
      larger(other, __shfl_xor_sync(kAllLanes, place, step));
    }
  };
  largest_of_warp();
  if (lane() == 0) {
    room.tops[warp()] = top;
    room.places[warp()] = place;
  }
  __syncthreads();
  top = room.tops[lane()];
  place = room.places[lane()];
  largest_of_warp();
  if (place == kNotFinite || args.temperature <= 0.0f) return finish(place);

  uint32_t least = 0;  // of order, after top-k
  if (args.top_k > 0 && args.top_k < v)
    least = select(v, top, static_cast<Sum>(args.top_k), room, value, [](int64_t, float) {
              return Sum{1};
            }).order;
  uint32_t edge = 0;  // of order, after top-p; at the edge itself places from first_at_edge on stay
  int64_t first_at_edge = 0;
  if (args.top_p < 1.0) {
    const auto weight = [&](int64_t, float x) {
      return order_of(x) >= least ? static_cast<Sum>(sample_weight(x, top)) : Sum{0};
    };
    const Sum total = row_sum(v, room, [&](int64_t i) { return weight(i, value(i)); });
    const Threshold t = select(v, top, top_p_need(args.top_p, total), room, value, weight);
    edge = t.order;
    // Of those at the edge the last stay, as many as are needed.
    const uint32_t bits = edge & 0x80000000u ? edge & 0x7fffffffu : ~edge;
    const Sum each = sample_weight(detail::recast<float>(bits), top);
    const Sum stay = (t.left + each - 1) / each;
    first_at_edge = v - 1 - place_of(stay - 1, v, room, [&](int64_t i) {
                      return Sum{order_of(value(v - 1 - i)) == edge};
                    });
  }
  const auto kept = [&](int64_t i) -> Sum {
    const float x = value(i);
    const uint32_t order = order_of(x);
    if (order < least || order < edge || (order == edge && i < first_at_edge)) return 0;
    const Sum weight = sample_weight(x, top);
    return weight < args.least_weight ? 0 : weight;
  };
  const Sum total = row_sum(v, room, kept);
  const Sum target = sample_target(args.seed, args.sequences[row], length, total);
  finish(static_cast<int32_t>(place_of(target, v, room, kept)));
  for (int64_t i = threadIdx.x; processed && i < v; i += kThreads) {
    const float x = value(i);
    const uint32_t order = order_of(x);
    const bool gone = order < least || order < edge || (order == edge && i < first_at_edge) ||
                      sample_weight(x, top) < args.least_weight;
    processed[i] = gone ? -INFINITY : x;
  }
}

__global__ void __launch_bounds__(kRowThreads)
    advance_rows_kernel(int32_t* ids, int32_t* positions, int32_t* lengths, int32_t* seen,
                        const int32_t* chosen, int64_t rows, int64_t words) {
  const int64_t b = static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
  if (b >= rows) return;
  const int32_t length = lengths[b], token = chosen[b] > 0 ? chosen[b] : 0;
  ids[b] = token;
  positions[b] = length;
  if (length == 0) return;
  lengths[b] = length + 1;
  if (seen) {
    int32_t& word = seen[b * words + token / 32];
    word = static_cast<int32_t>(static_cast<uint32_t>(word) | 1u << (token % 32));
  }
}

}  // namespace

void sample(const Sample& op, Stream stream) {
  const int64_t v = op.logits.dim(1);
  const SampleArgs args = {.chosen = device_pointer<int32_t>(op.chosen),
                           .processed = device_pointer<float>(op.processed),
                           .lengths = device_pointer<int32_t>(op.lengths),
                           .sequences = device_pointer<int32_t>(op.sequences),
                           .seen = device_pointer<int32_t>(op.seen),
                           .v = v,
                           .words = seen_words(v),
                           .temperature = op.temperature,
                           .penalty = op.repetition_penalty,
                           .top_k = op.top_k,
                           .top_p = op.top_p,
                           .least_weight = min_p_weight(op.min_p),
                           .seed = op.seed};
  with_float_type(op.logits.dtype, [&](auto type) {
    using T = decltype(type);
    launch(sample_kernel<T>,
           {.grid = dim3(blocks_for(op.logits.dim(0), 1)),
            .block = dim3(kThreads),
            .stream = queue(stream).stream,
            .name = "sample"},
           device_pointer<T>(op.logits), args);
  });
}

void advance_rows(const AdvanceRows& op, Stream stream) {
  const int64_t rows = op.ids.dim(0);
  launch(advance_rows_kernel,
         {.grid = dim3(blocks_for(rows, kRowThreads)),
          .block = dim3(kRowThreads),
          .stream = queue(stream).stream,
          .name = "advance_rows"},
         device_pointer<int32_t>(op.ids), device_pointer<int32_t>(op.positions),
         device_pointer<int32_t>(op.lengths), device_pointer<int32_t>(op.seen),
         device_pointer<int32_t>(op.chosen), rows, op.seen ? op.seen.dim(1) : int64_t{0});
}

}  // namespace nibble::cuda
