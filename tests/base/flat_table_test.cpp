// SPDX-License-Identifier: Apache-2.0
#include "base/flat_table.h"

#include <gtest/gtest.h>

#include <map>

#include "base/rng.h"

namespace nibble {
namespace {

TEST(FlatTable, HoldsWhatAMapHolds) {
  FlatTable<uint64_t, uint32_t> table;
  std::map<uint64_t, uint32_t> want;
  Rng rng(1);
  for (uint32_t i = 0; i < 30000; ++i) {
    // Keys that come again, and ones that lie in the same place.
    const uint64_t key = i % 2 == 0 ? rng.below(5000) << 40 | 7 : rng.next_u64();
    const auto [value, is_new] = table.insert(key, i);
    EXPECT_EQ(is_new, want.emplace(key, i).second);
    EXPECT_EQ(value, want[key]);
    if (i == 1000) i += 7;
  }
  EXPECT_EQ(table.size(), want.size());
  for (const auto& [key, value] : want) {
    ASSERT_TRUE(table.find(key));
    EXPECT_EQ(*table.find(key), value);
  }
  EXPECT_FALSE(table.find(3));
}

TEST(FlatTable, TellsDigestsApartByAllTheirBits) {
  FlatTable<Digest, uint32_t> table;
  EXPECT_TRUE(table.insert({1, 1}, 0).second);
  EXPECT_TRUE(table.insert({1, 2}, 1).second);
  EXPECT_FALSE(table.insert({1, 1}, 2).second);
  EXPECT_EQ(*table.find({1, 2}), 1u);
  EXPECT_FALSE(table.find({2, 1}));
}

}  // namespace
}  // namespace nibble
