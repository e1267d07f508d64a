// SPDX-License-Identifier: Apache-2.0
// Pages of optimizer state: every element is on one page and in order, none is larger than asked
// for, no piece would change how its state is kept.
#include "fit/state_pages.h"

#include <gtest/gtest.h>

#include "base/checked.h"
#include "base/rng.h"
#include "kernels/segment_blocks.h"

namespace nibble {
namespace {

std::vector<ParameterRange> random_segments(Rng& rng) {
  std::vector<ParameterRange> out;
  int64_t at = 0;
  for (uint64_t i = 0; i < 1 + rng.below(12); ++i) {
    const int64_t sizes[] = {static_cast<int64_t>(rng.below(300)),
                             static_cast<int64_t>(4000 + rng.below(200)),
                             static_cast<int64_t>(kLeastPageElements - 2 + rng.below(4)),
                             static_cast<int64_t>(rng.below(100000))};
    const int64_t count = sizes[rng.below(4)];
    out.push_back({at, count, static_cast<float>(i)});
    at = round_up<int64_t>(at + count, 16);
  }
  return out;
}

TEST(StatePages, HoldEverythingOnceAndInOrder) {
  Rng rng(3);
  for (int round = 0; round < 200; ++round) {
    const auto segments = random_segments(rng);
    const int64_t most = kLeastPageElements + static_cast<int64_t>(rng.below(20000));
    StateCounts next;  // what the page before ended at
    size_t s = 0;
    int64_t done = 0;  // of segment s
    for (const StatePage& page : state_pages(segments, most)) {
      EXPECT_LE(page.size.elements, most);
      EXPECT_GE(page.first.elements, next.elements);
      EXPECT_EQ(page.first.blocks, next.blocks);
      EXPECT_EQ(page.first.small, next.small);
      EXPECT_EQ(adamw8bit_blocks(page.segments), page.size.blocks);
      EXPECT_EQ(adamw8bit_small(page.segments), page.size.small);
      for (const ParameterRange& piece : page.segments) {
        while (done == segments[s].count) {
          ++s;
          done = 0;
        }
        const ParameterRange& whole = segments[s];
        EXPECT_EQ(page.first.elements + piece.begin, whole.begin + done);
        EXPECT_EQ(piece.weight_decay, whole.weight_decay);
        EXPECT_EQ(piece.count < kSmallSegment, whole.count < kSmallSegment);
        EXPECT_EQ(done % kStateBlock, 0);
        EXPECT_LE(piece.begin + piece.count, page.size.elements);
        done += piece.count;
      }
      next = {page.first.elements + page.size.elements, page.first.blocks + page.size.blocks,
              page.first.small + page.size.small};
    }
    int64_t left = segments[s].count - done;
    for (size_t i = s + 1; i < segments.size(); ++i) left += segments[i].count;
    EXPECT_EQ(left, 0);
    EXPECT_EQ(next.blocks, adamw8bit_blocks(segments));
    EXPECT_EQ(next.small, adamw8bit_small(segments));
  }
}

TEST(StatePages, ThreeSlotsAtMost) {
  const std::vector<ParameterRange> segments = {{0, 100000, 0.0f}};
  OptimizerOptions options;
  for (const int64_t elements : {int64_t{16384}, int64_t{60000}, int64_t{200000}}) {
    const auto pages = state_pages(segments, elements);
    Arena arena;
    take_page_slots(arena, options, page_sizes(pages));
    const size_t slots = std::min<size_t>(3, pages.size());
    EXPECT_LE(arena.peak(), slots * 2 * sizeof(float) * static_cast<size_t>(elements));
    EXPECT_GE(arena.peak(), slots * 2 * sizeof(float) * static_cast<size_t>(elements / 2));
  }
}

TEST(OptimizerNames, PagedIsOfTheState) {
  OptimizerOptions options;
  for (const char* name : {"adamw", "adamw-8bit", "paged-adamw", "paged-adamw-8bit", "sgd"}) {
    set_optimizer(options, name);
    EXPECT_EQ(optimizer_name(options), name);
    EXPECT_EQ(options.paged, std::string_view(name).starts_with("paged-"));
  }
  EXPECT_THROW(set_optimizer(options, "lion"), UsageError);
}

}  // namespace
}  // namespace nibble
