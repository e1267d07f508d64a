// SPDX-License-Identifier: Apache-2.0
// Which rows a step trains on. The order of an epoch is a pure function of (seed, epoch), so that a
// resumed run needs only its step number. Steps never span epochs: the last step of an epoch may
// have fewer micro-batches, and its last micro-batch fewer rows.
#pragma once

#include <vector>

#include "io/nbp.h"
#include "model/batch.h"

namespace nibble {

class RowOrder {
 public:
  struct Options {
    int64_t rows = 0, batch_size = 1, accumulate = 1;
    bool shuffle = true;
    uint64_t seed = 0;
  };
  explicit RowOrder(const Options& options);

  int64_t steps_per_epoch() const { return steps_per_epoch_; }
  int64_t epoch_of(int64_t step) const { return step / steps_per_epoch_; }
  /// Rows of step `step` (from 0), one list a micro-batch.
  const std::vector<std::vector<int64_t>>& rows_of(int64_t step);

 private:
  Options options_;
  int64_t steps_per_epoch_ = 0;
  int64_t epoch_ = -1;
  std::vector<int64_t> order_;
  std::vector<std::vector<int64_t>> micro_batches_;
};

/// Reads rows of a shard into a batch, their sequences one after another.
void fill_batch(ShardReader& shard, const std::vector<int64_t>& rows, PackedRow& scratch,
                Batch& batch);

}  // namespace nibble
