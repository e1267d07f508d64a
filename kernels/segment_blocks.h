// SPDX-License-Identifier: Apache-2.0
// How optimizers share out work: every segment is cut into blocks of 256 from its start, blocks are
// numbered through, and a thread takes a contiguous range of them. The cuts fall where they fall
// whatever the number of threads, and nothing is allocated.
#pragma once

#include <algorithm>
#include <functional>
#include <span>

#include "base/checked.h"
#include "base/threads.h"
#include "kernels/args.h"
#include "kernels/optimizer.h"

namespace nibble {

inline constexpr int64_t kStateBlock = 256;
/// Segments under this many elements keep fp32 state in the 8-bit optimizer.
inline constexpr int64_t kSmallSegment = 4096;

/// Adjoining blocks of one segment.
struct BlockRun {
  const ParameterRange* segment = nullptr;
  int64_t first = 0, count = 0;  // elements in the flat storage
  int64_t block = 0;             // of the first block, counted over segments with 8-bit state
  int64_t small = 0;             // of the first element, counted over segments without
};

inline int64_t count_blocks(std::span<const ParameterRange> segments) {
  int64_t blocks = 0;
  for (const ParameterRange& s : segments) blocks += ceil_div(s.count, kStateBlock);
  return blocks;
}

/// body(run) for the blocks numbered [begin, end).
template <class Body>
void walk_blocks(std::span<const ParameterRange> segments, int64_t begin, int64_t end,
                 const Body& body) {
  int64_t at = 0, block = 0, small = 0;
  for (const ParameterRange& s : segments) {
    const int64_t blocks = ceil_div(s.count, kStateBlock);
    const int64_t low = std::max(begin, at) - at, high = std::min(end, at + blocks) - at;
    if (low < high) {
      const int64_t offset = low * kStateBlock;
      body(BlockRun{.segment = &s,
                    .first = s.begin + offset,
                    .count = std::min(s.count, high * kStateBlock) - offset,
                    .block = block + low,
                    .small = small + offset});
    }
    at += blocks;
    (s.count < kSmallSegment ? small : block) += s.count < kSmallSegment ? s.count : blocks;
  }
}

/// body(begin, end) over all blocks, on all threads.
template <class Body>
void parallel_blocks(std::span<const ParameterRange> segments, const Body& body) {
  constexpr int64_t kGrain = 32;
  // A reference fits into std::function without memory of its own.
  parallel_for(count_blocks(segments), kGrain, std::cref(body));
}

/// The update with its clip factor, of the host, in its gradient_scale.
template <class Op>
Op clipped(Op op) {
  if (op.clip) op.gradient_scale *= *op.clip.template as<float>();
  return op;
}

/// Throws BugError unless all segments lie in [0, elements).
inline void check_segments(const Args& args, std::span<const ParameterRange> segments,
                           int64_t elements) {
  for (const ParameterRange& s : segments)
    args.require(s.begin >= 0 && s.count >= 0 && s.count <= elements - s.begin,
                 "a segment lies outside values");
}

}  // namespace nibble
