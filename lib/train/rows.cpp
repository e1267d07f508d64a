// SPDX-License-Identifier: Apache-2.0
#include "train/rows.h"

#include <algorithm>
#include <numeric>

#include "base/checked.h"
#include "base/error.h"
#include "base/rng.h"

namespace nibble {

RowOrder::RowOrder(const Options& options)
    : options_(options),
      steps_per_epoch_(ceil_div(options.rows, options.batch_size * options.accumulate)) {
  CHECK(options.rows > 0 && options.batch_size > 0 && options.accumulate > 0);
}

const std::vector<std::vector<int64_t>>& RowOrder::rows_of(int64_t step) {
  if (const int64_t epoch = epoch_of(step); epoch != epoch_) {
    order_.resize(static_cast<size_t>(options_.rows));
    std::iota(order_.begin(), order_.end(), int64_t{0});
    if (options_.shuffle) {
      Rng rng(options_.seed,
              (static_cast<uint64_t>(RngStream::kShuffle) << 32) + static_cast<uint64_t>(epoch));
      shuffle(order_.begin(), order_.end(), rng);
    }
    epoch_ = epoch;
  }
  micro_batches_.clear();
  const int64_t per_step = options_.batch_size * options_.accumulate;
  const int64_t begin = step % steps_per_epoch_ * per_step;
  const int64_t end = std::min(options_.rows, begin + per_step);
  for (int64_t at = begin; at < end; at += options_.batch_size)
    micro_batches_.emplace_back(order_.begin() + at,
                                order_.begin() + std::min(end, at + options_.batch_size));
  return micro_batches_;
}

void fill_batch(ShardReader& shard, const std::vector<int64_t>& rows, PackedRow& scratch,
                Batch& batch) {
  batch.clear();
  for (const int64_t row : rows) {
    shard.read(row, scratch);
    batch.append(scratch);
  }
}

}  // namespace nibble
