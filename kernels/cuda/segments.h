// SPDX-License-Identifier: Apache-2.0
// The optimizers' table of trained tensors as kernel parameters: as many of them as fit into one
// launch, cut into chunks of which each warp or block takes one.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/cuda/values.h"
#include "kernels/optimizer.h"

namespace nibble::cuda {

inline constexpr int kMostSegments = 60;

struct Segment {
  int64_t begin, count;  // elements of the flat storage
  int64_t state;         // first block of 8-bit state, or first element of small state
  int32_t first_chunk;   // of the launch
  float weight_decay;
};

struct Segments {
  Segment segment[kMostSegments];
  int32_t count = 0, chunks = 0;
};

/// What multiplies gradients, known on the host and, where there is a clip factor, on the device.
struct GradientScale {
  float by;
  const float* clip;
  __device__ __forceinline__ float get() const { return clip ? product(by, *clip) : by; }
};
inline GradientScale gradient_scale(float by, const Tensor& clip) {
  return {by, device_pointer<float>(clip)};
}

/// What chunk `chunk` of the launch is: elements [begin, begin + count) of segment `index`.
struct Chunk {
  int32_t index;
  int64_t offset;  // from the segment's begin
  int64_t count;
};
__device__ __forceinline__ Chunk find_chunk(const Segments& s, int32_t chunk, int64_t size) {
  const int32_t index = last_part(s.count, chunk, [&s](int i) { return s.segment[i].first_chunk; });
  const int64_t offset = (chunk - s.segment[index].first_chunk) * size;
  const int64_t left = s.segment[index].count - offset;
  return {index, offset, min(left, size)};
}

/// body(Segments) for all ranges, in as few launches as they need: adjoining ranges that decay
/// alike are one segment where joins(count before, count) lets them, so that all tensors of an
/// adapter are one launch. `state(range)` numbers the state of a range; it is called in order.
template <class State, class Joins, class Body>
void for_segments(std::span<const ParameterRange> ranges, int64_t chunk_size, const State& state,
                  const Joins& joins, const Body& body) {
  Segments batch;
  const auto flush = [&] {
    if (batch.chunks > 0) body(batch);
    batch = {};
  };
  const auto chunks_of = [chunk_size](int64_t count) {
    return (count + chunk_size - 1) / chunk_size;
  };
  for (const ParameterRange& r : ranges) {
    if (r.count == 0) continue;
    const int64_t place = state(r);
    if (batch.count > 0) {
      Segment& last = batch.segment[batch.count - 1];
      const int64_t chunks = last.first_chunk + chunks_of(last.count + r.count);
      if (last.begin + last.count == r.begin && last.weight_decay == r.weight_decay &&
          chunks <= INT32_MAX && joins(last.count, r.count)) {
        last.count += r.count;
        batch.chunks = static_cast<int32_t>(chunks);
        continue;
      }
    }
    const int64_t chunks = chunks_of(r.count);
    if (batch.count == kMostSegments || batch.chunks + chunks > INT32_MAX) flush();
    batch.segment[batch.count++] = {.begin = r.begin,
                                    .count = r.count,
                                    .state = place,
                                    .first_chunk = batch.chunks,
                                    .weight_decay = r.weight_decay};
    batch.chunks += static_cast<int32_t>(chunks);
  }
  flush();
}

}  // namespace nibble::cuda
