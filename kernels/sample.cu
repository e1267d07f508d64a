// SPDX-License-Identifier: Apache-2.0
// A row's largest logit by several blocks, then a block a row. Which logits stay is found as
// thresholds, by selection and not by sorting: what is to be counted (top-k) or weighed (top-p) is
// summed in 256 bins, first by distance from the largest, which spreads a row's logits, then digit
// by digit within the bin where the threshold lies. Once few can stay, they are listed, and the
// rest of the row is not read again. Sums are of integers: no order of the additions shows.
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
constexpr int kListed = kThreads;
constexpr int kParts = static_cast<int>(kSampleParts);
constexpr int kPartThreads = 256;
static_assert(kParts == kWarp);

using Sum = unsigned long long;

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

template <class T>
__global__ void __launch_bounds__(kPartThreads) largest_kernel(const T* logits, SampleArgs args) {
  constexpr int kPartWarps = kPartThreads / kWarp;
  __shared__ float tops[kPartWarps];
  __shared__ int32_t places[kPartWarps];
  const int64_t b = blockIdx.y;
  const int begin = static_cast<int>(blockIdx.x) * args.part;
  const int end = min(begin + args.part, static_cast<int>(args.v));
  const bool idle = args.lengths[b] == 0;
  float* const processed = args.processed ? args.processed + b * args.v : nullptr;
  Largest largest;
  const Row<T> row(logits, args, b);
  if (!idle)
    row.template each<kPartThreads>(begin, end, [&](int i, float x) {
      if (processed) processed[i] = x;
      largest.look_at(i, x);
    });
  for (int i = begin + static_cast<int>(threadIdx.x); idle && processed && i < end;
       i += kPartThreads)
    processed[i] = -INFINITY;
  largest.meet();
  if (lane() == 0) {
    tops[warp()] = largest.top;
    places[warp()] = largest.place;
  }
  __syncthreads();
  if (warp() > 0) return;
  largest = {tops[lane() % kPartWarps], places[lane() % kPartWarps]};
  largest.meet();
  if (lane() > 0) return;
  args.tops[b * kParts + blockIdx.x] = largest.top;
  args.places()[b * kParts + blockIdx.x] = largest.place;
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
__device__ void find_bin(Room& room, Sum need) {
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

template <class T>
__global__ void __launch_bounds__(kThreads) sample_kernel(const T* logits, SampleArgs args) {
  __shared__ Room room;
  const int64_t b = blockIdx.x;
  const auto v = static_cast<int>(args.v);
  float* const processed = args.processed ? args.processed + b * v : nullptr;
  const int32_t length = args.lengths[b];
  const auto finish = [&](int32_t chosen) {
    if (threadIdx.x == 0) args.chosen[b] = chosen;
  };
  if (length == 0) return finish(0);
  Largest largest = {args.tops[b * kParts + lane()], args.places()[b * kParts + lane()]};
  largest.meet();
  const float top = largest.top;
  if (largest.place == kNotFinite || args.temperature <= 0.0f) return finish(largest.place);

  const Row<T> row(logits, args, b);
  View<T> view = {row, room, v};
  uint32_t least = 0;  // of order, after top-k
  if (args.top_k > 0 && args.top_k < v)
    least = select(view, top, static_cast<Sum>(args.top_k), [](int, float) {
              return uint32_t{1};
            }).order;
  uint32_t edge = 0;  // of order, after top-p; at the edge itself places from first_at_edge on stay
  int first_at_edge = 0;
  if (args.top_p < 1.0) {
    const auto weight = [&](int, float x) {
      return order_of(x) >= least ? static_cast<Sum>(sample_weight(x, top)) : Sum{0};
    };
    const Sum total = sum_of(view, weight);
    const Threshold t = select(view, top, top_p_need(args.top_p, total), weight);
    edge = t.order;
    // Of those at the edge the last stay, as many as are needed.
    const uint32_t bits = edge & 0x80000000u ? edge & 0x7fffffffu : ~edge;
    const Sum each = sample_weight(detail::recast<float>(bits), top);
    const Sum stay = (t.left + each - 1) / each;
    const int last = view.count - 1;
    first_at_edge = last - place_of(stay - 1, view.count, room, [&](int i) {
                      return Sum{order_of(view.at(last - i)) == edge};
                    });
    if (view.listed) first_at_edge = room.places[first_at_edge];
  }
  const auto heavy = [&](float x) { return sample_weight(x, top) >= args.least_weight; };
  if (!view.listed && args.least_weight > 0) view.list(heavy);
  const auto gone = [&](int i, float x) {  // i of the row
    const uint32_t order = order_of(x);
    return order < least || order < edge || (order == edge && i < first_at_edge) || !heavy(x);
  };
  const auto kept = [&](int i, float x) -> Sum {
    return gone(view.listed ? room.places[i] : i, x) ? 0 : sample_weight(x, top);
  };
  const Sum total = sum_of(view, kept);
  const Sum target = sample_target(args.seed, args.sequences[b], length, total);
  const int drawn = place_of(target, view.count, room, [&](int i) { return kept(i, view.at(i)); });
  finish(view.listed ? room.places[drawn] : drawn);
  if (!processed) return;
  row.template each<kThreads>(0, v,
                              [&](int i, float x) { processed[i] = gone(i, x) ? -INFINITY : x; });
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
  const int64_t rows = op.logits.dim(0), v = op.logits.dim(1);
  with_float_type(op.logits.dtype, [&](auto type) {
    using T = decltype(type);
    // Parts are whole accesses, and of all threads where the row is long.
    constexpr int64_t kAccess = kWide<T>;
    const SampleArgs args = {
        .chosen = device_pointer<int32_t>(op.chosen),
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
        .seed = op.seed,
        .tops = device_pointer<float>(op.scratch),
        .rows = static_cast<int>(rows),
        .part = static_cast<int>((v + kParts * kAccess - 1) / (kParts * kAccess) * kAccess),
        .wide = wide_rows(op.logits, v, static_cast<int>(kAccess))};
    const cudaStream_t where = queue(stream).stream;
    launch(largest_kernel<T>,
           {.grid = dim3(kParts, blocks_for(rows, 1)),
            .block = dim3(kPartThreads),
            .stream = where,
            .name = "sample"},
           device_pointer<T>(op.logits), args);
    launch(sample_kernel<T>,
           {.grid = dim3(blocks_for(rows, 1)),
            .block = dim3(kThreads),
            .stream = where,
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
