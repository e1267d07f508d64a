// SPDX-License-Identifier: Apache-2.0
// Sectors and passes of requests whose cost is known.
#include "counters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "emulate.h"

namespace nibble::emulate {
namespace {

// A warp whose lane i accesses address(i).
template <class F>
Counts of_warp(Space space, int bytes, F address) {
  std::vector<std::vector<LoggedAccess>> threads(32);
  for (uint64_t lane = 0; lane < 32; ++lane) {
    threads[lane].push_back({1, address(lane), static_cast<uint8_t>(bytes), false, space});
  }
  Counts counts;
  count_block(counts, threads);
  return counts;
}

TEST(Counters, SectorsOfARequest) {
  struct Case {
    int bytes;
    uint64_t first, stride;
    int64_t sectors, coalesced;
  };
  for (const Case& c : {Case{4, 0, 4, 4, 4},      // neighbours
                        Case{4, 4, 4, 5, 4},      // not aligned to sectors
                        Case{4, 0, 32, 32, 4},    // a sector a lane
                        Case{4, 0, 0, 1, 1},      // one word for all
                        Case{16, 0, 16, 16, 16},  // wide
                        Case{2, 0, 4, 4, 2}}) {   // every other half
    const Counts got =
        of_warp(Space::kGlobal, c.bytes, [&](uint64_t i) { return 1024 + c.first + i * c.stride; });
    EXPECT_EQ(got.global_requests, 1);
    EXPECT_EQ(got.global_sectors, c.sectors) << c.bytes << " " << c.first << " " << c.stride;
    EXPECT_EQ(got.coalesced_sectors, c.coalesced) << c.bytes << " " << c.first << " " << c.stride;
    EXPECT_EQ(got.least_sectors, c.coalesced);
  }
}

TEST(Counters, PassesThroughTheBanks) {
  struct Case {
    int bytes;
    uint64_t stride;
    int64_t passes, least;
  };
  for (const Case& c : {Case{4, 4, 1, 1},        // a bank a lane
                        Case{4, 8, 2, 1},        // every other bank
                        Case{4, 128, 32, 1},     // one bank
                        Case{4, 0, 1, 1},        // one word
                        Case{4, 132, 1, 1},      // rows padded by a word
                        Case{2, 2, 1, 1},        // two lanes a word
                        Case{16, 16, 4, 4},      // eight lanes at a time
                        Case{16, 128, 32, 4},    // rows of 128 bytes, not padded
                        Case{16, 144, 4, 4}}) {  // padded by 16
    const Counts got =
        of_warp(Space::kShared, c.bytes, [&](uint64_t i) { return 4096 + i * c.stride; });
    EXPECT_EQ(got.shared_requests, 1);
    EXPECT_EQ(got.shared_passes, c.passes) << c.bytes << " by " << c.stride;
    EXPECT_EQ(got.least_passes, c.least) << c.bytes << " by " << c.stride;
  }
}

TEST(Counters, WhatABlockReadsTwiceIsMovedTwice) {
  std::vector<std::vector<LoggedAccess>> threads(32);
  for (uint64_t lane = 0; lane < 32; ++lane) {
    for (int round = 0; round < 2; ++round) {
      threads[lane].push_back({1, 4096 + 4 * lane, 4, false, Space::kGlobal});
    }
    threads[lane].push_back({2, 4096 + 4 * lane, 4, true, Space::kGlobal});
  }
  Counts counts;
  count_block(counts, threads);
  EXPECT_EQ(counts.global_requests, 3);
  EXPECT_EQ(counts.global_sectors, 12);
  EXPECT_EQ(counts.least_sectors, 8);
}

TEST(Counters, CachesServeWhatIsReadAgain) {
  // Two blocks each read a sector of their own and one that both read, twice; and write one.
  const auto block = [](uint64_t number) {
    std::vector<std::vector<LoggedAccess>> threads(32);
    for (int round = 0; round < 2; ++round)
      threads[0].push_back({1, 4096, 4, false, Space::kGlobal});
    threads[0].push_back({2, 8192 + 32 * number, 32, false, Space::kGlobal});
    threads[0].push_back({3, 8192 + 32 * number, 4, true, Space::kGlobal});
    return threads;
  };
  Counts counts;
  for (int launch = 1; launch <= 2; ++launch) {  // which share nothing
    begin_launch(counts);
    for (const uint64_t number : {0u, 1u}) count_block(counts, block(number));
    EXPECT_EQ(counts.launches, launch);
    EXPECT_EQ(counts.global_sectors, 8 * launch);
    EXPECT_EQ(counts.block_sectors, 6 * launch);
    EXPECT_EQ(counts.own_sectors, 4 * launch);
    EXPECT_EQ(counts.common_sectors, 1 * launch);
  }
}

TEST(Counters, TheSampleHasTheEndsAndNoBlockTwice) {
  EXPECT_EQ(choose_sample(3, 3, 1).size(), 3u);
  const auto sample = choose_sample(1000, 20, 7);
  EXPECT_EQ(sample.size(), sampled_blocks());
  EXPECT_EQ(sample[0], 0u);
  EXPECT_EQ(sample[1], 999u);
  EXPECT_EQ(sample[2], 21u);
  EXPECT_EQ(std::set<uint64_t>(sample.begin(), sample.end()).size(), sample.size());
  begin_case("", 60);
  const auto large = choose_sample(1000, 2, 7);
  begin_case("", 8);
  const std::set<uint64_t> seen(large.begin(), large.end());
  EXPECT_EQ(seen.size(), 60u);
  EXPECT_TRUE(seen.contains(0) && seen.contains(11) && seen.contains(996) && seen.contains(999));
  // Runs of neighbours hold as many even numbers as odd ones.
  EXPECT_EQ(std::count_if(seen.begin(), seen.end(), [](uint64_t b) { return b % 2 == 0; }), 30);
}

}  // namespace
}  // namespace nibble::emulate
