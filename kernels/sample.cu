// SPDX-License-Identifier: Apache-2.0
// A row's largest logit by several blocks, then a block a row, which finds what stays
// (sample_select.h) and draws of it.
#include "kernels/sample.h"

#include "kernels/cuda/sample_select.h"
#include "kernels/cuda/twins.h"
#include "kernels/sample_weight.h"

namespace nibble::cuda {
namespace {

using namespace sampling;

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
