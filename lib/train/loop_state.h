// SPDX-License-Identifier: Apache-2.0
// What a training run holds, shared by its set-up (run.cpp) and its loop (loop.cpp).
#pragma once

#include <chrono>

#include "model/device_model.h"
#include "text/extend_tokenizer.h"
#include "train/run.h"
#include "train/run_folder.h"

namespace nibble {

/// A number with so many digits after the point.
std::string fixed(double value, int digits);

struct TrainingRun::State {
  explicit State(const TrainOptions& options);
  void lay_out();
  TrainJob job() const;

  /// Initial values, or those of a checkpoint; opens OUT and the metrics.
  void start(const TrainReport& report);
  void run(const TrainReport& report);
  /// Writes the adapter or the model into OUT.
  void finish(const TrainReport& report);

  struct StepResult {
    double loss = 0.0, gradient_norm = 0.0;  // loss: mean over trained tokens
    int64_t tokens = 0, trained = 0;
    bool stopped = false;  // a signal came before all micro-batches were done
  };
  StepResult gradients(int64_t step);
  void refuse_bad_step(int64_t step, const StepResult& result, const TrainReport& report);
  /// Nothing where a signal came before its end.
  std::optional<double> validation_loss();
  /// Evaluates, remembers the best; or stops, and the resumed run evaluates first.
  void evaluate(const TrainReport& report);
  /// Saves and throws StoppedError.
  [[noreturn]] void stop(const TrainReport& report);
  void save(const TrainReport& report);
  void save_model(const fs::path& folder) const;
  Json settings() const;
  /// The metrics' first record: what ran, on what, as planned.
  Json run_record() const;
  void go_on_from(const fs::path& checkpoint, const TrainReport& report);
  bool evaluation_due(int64_t step) const;

  /// The model that is computed with: the folder's own, or its twin on the device.
  const Model& working() const { return twin ? *twin : model; }
  /// From the folder's model to its twin and back, where there is one.
  void upload() const;
  void download() const;

  TrainOptions options;
  Arena arena;  // all of the device's memory: of the stream, the twin and what they work with
  OwnedStream stream;
  Model model;
  std::optional<Model> twin;
  std::optional<ExtendedTokenizer> extended;  // with --add-tokens
  ShardReader train_shard;
  std::optional<ShardReader> valid_shard;
  std::optional<RowOrder> order;
  Schedule schedule;
  int64_t total_steps = 0;
  TrainJob placed;  // the job as it fits
  StepOptions step_options;
  RopeTable rope;
  MemoryPlan plan;
  uint64_t device_peak = 0;  // bytes of the device's memory that were in use at most; 0: the CPU
  Arena host_arena;          // the folder's model's trained values, where a twin computes
  std::optional<Optimizer> optimizer;
  std::optional<Step> step;
  std::optional<RunFolder> held;  // OUT
  std::optional<MetricsFile> metrics;
  Json agreed;  // settings(), of the files as they were at the start
  TrainerState at;
  int64_t saved_step = -1;
  std::vector<Batch> batches;
  PackedRow row;
  std::chrono::steady_clock::time_point started;
  int64_t tokens_here = 0;  // of this process, for the rate
};

}  // namespace nibble
