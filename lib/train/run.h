// SPDX-License-Identifier: Apache-2.0
// A training run: everything loaded, laid out and ready, and the loop over it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fit/memory_plan.h"
#include "io/nbp.h"
#include "train/checkpoint.h"
#include "train/metrics.h"
#include "train/options.h"
#include "train/rows.h"
#include "train/schedule.h"

namespace nibble {

/// What the loop tells whoever runs it.
struct TrainReport {
  std::function<void(const std::string&)> say;  // a line for people
  std::function<bool()> progress_due;
  std::function<void(const std::string&)> progress;  // the rewritten line
};

class TrainingRun {
 public:
  /// Loads the model and the data, declares what is trained, lays out all memory. Throws as its
  /// parts do; MemoryError where the plan passes options.memory_limit.
  explicit TrainingRun(const TrainOptions& options);
  ~TrainingRun();

  const MemoryPlan& plan() const;
  const TrainJob& job() const;  // memory settings as given, or as chosen
  int64_t trainable() const;    // numbers
  int64_t parameters() const;   // of the base model
  int64_t total_steps() const;
  const ShardInfo& data() const;
  /// Bytes of the device's memory that were in use at most, by whomever; 0 on the CPU.
  uint64_t device_peak() const;

  /// Trains to the end and writes OUT. Throws StoppedError (exit 75) after a checkpoint when a stop
  /// signal came, DataError when the loss is not finite or spikes.
  void train(const TrainReport& report);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nibble
