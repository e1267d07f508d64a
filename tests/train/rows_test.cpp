// SPDX-License-Identifier: Apache-2.0
#include "train/rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "support/scratch.h"

namespace nibble {
namespace {

TEST(RowOrder, EveryEpochTakesEveryRowOnce) {
  RowOrder order({.rows = 23, .batch_size = 3, .accumulate = 2, .seed = 5});
  ASSERT_EQ(order.steps_per_epoch(), 4);
  std::vector<std::vector<int64_t>> epochs;
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    std::vector<int64_t> seen;
    for (int64_t step = 0; step < 4; ++step) {
      const auto& micro_batches = order.rows_of(epoch * 4 + step);
      EXPECT_LE(micro_batches.size(), 2u);
      for (const auto& rows : micro_batches) {
        EXPECT_LE(rows.size(), 3u);
        seen.insert(seen.end(), rows.begin(), rows.end());
      }
    }
    epochs.push_back(seen);
    EXPECT_EQ(std::set<int64_t>(seen.begin(), seen.end()).size(), 23u);
    EXPECT_EQ(seen.size(), 23u);
  }
  EXPECT_NE(epochs[0], epochs[1]);
}

TEST(RowOrder, IsAFunctionOfTheStep) {
  RowOrder forward({.rows = 40, .batch_size = 4, .accumulate = 1, .seed = 9});
  std::vector<std::vector<std::vector<int64_t>>> all;
  for (int64_t step = 0; step < 30; ++step) all.push_back(forward.rows_of(step));
  RowOrder resumed({.rows = 40, .batch_size = 4, .accumulate = 1, .seed = 9});
  for (const int64_t step : {27, 3, 12, 29, 0})
    EXPECT_EQ(resumed.rows_of(step), all[static_cast<size_t>(step)]) << step;
}

TEST(RowOrder, KeepsTheFilesOrderUnshuffled) {
  RowOrder order({.rows = 5, .batch_size = 2, .accumulate = 1, .shuffle = false});
  EXPECT_EQ(order.rows_of(0), (std::vector<std::vector<int64_t>>{{0, 1}}));
  EXPECT_EQ(order.rows_of(2), (std::vector<std::vector<int64_t>>{{4}}));
}

TEST(FillBatch, TargetsAreTheNextTokensThatAreTrained) {
  const test::ScratchFolder folder;
  ShardWriter writer(folder / "x.nbp", {.row_length = 8, .vocab_size = 50, .mode = "pack"});
  writer.add({.tokens = {1, 2, 3, 7, 8}, .trained = {0, 0, 1, 0, 1}, .starts = {0, 3}});
  writer.add({.tokens = {9}, .trained = {0}, .starts = {0}});
  writer.commit();
  ShardReader shard(folder / "x.nbp");
  PackedRow scratch;
  Batch batch;
  fill_batch(shard, {0, 1}, scratch, batch);
  EXPECT_EQ(batch.ids, (std::vector<int32_t>{1, 2, 3, 7, 8, 9}));
  EXPECT_EQ(batch.positions, (std::vector<int32_t>{0, 1, 2, 0, 1, 0}));
  EXPECT_EQ(batch.starts, (std::vector<int32_t>{0, 3, 5, 6}));
  EXPECT_EQ(batch.rows, (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(batch.targets, (std::vector<int32_t>{3, 8}));
  EXPECT_EQ(batch.longest, 3);
}

}  // namespace
}  // namespace nibble
