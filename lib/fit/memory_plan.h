// SPDX-License-Identifier: Apache-2.0
// The memory of a training step before anything is loaded. The plan runs the very code that lays
// the step out (model/step.h, fit/optimizer_state.h) on arenas without memory, and names what it
// took by kind; what is no arena's (program, mapped weights, data, tables) is counted beside it. On
// the CPU the total is the resident peak of nibble-train. On a GPU what lies in the arenas is the
// same; what CUDA itself takes is assumed and says so.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "fit/state_pages.h"
#include "io/nbp.h"
#include "model/device_model.h"
#include "model/step.h"

namespace nibble {

/// Where memory goes, in bytes.
struct MemoryPlan {
  using Items = std::vector<std::pair<std::string, uint64_t>>;
  Items items;  // of the device that computes
  Items host;   // of the host beside a device: no part of the total

  uint64_t total() const;
  uint64_t host_total() const;
  uint64_t of(std::string_view item) const;
  uint64_t of_host(std::string_view item) const;
  /// Adds to the item of that name; nothing where bytes is 0.
  void add(std::string_view item, uint64_t bytes) { add(items, item, bytes); }
  void add_host(std::string_view item, uint64_t bytes) { add(host, item, bytes); }

 private:
  static void add(Items& items, std::string_view item, uint64_t bytes);
};

/// What a plan may take of the device that computes, and of the host beside it.
struct MemoryLimits {
  uint64_t device = 0;
  uint64_t host = std::numeric_limits<uint64_t>::max();
  bool hold(const MemoryPlan& plan) const {
    return plan.total() <= device && plan.host_total() <= host;
  }
};
/// Of the host's memory that is free, what may be pinned: programs and the page cache need the
/// rest.
inline constexpr double kPinnableShare = 0.8;

/// What training keeps of its data: the shard's bytes are mapped, frames and batches unpacked.
struct DataPlan {
  uint64_t mapped_bytes = 0;
  int64_t rows = 0, frame_tokens = 0;
  int64_t vocabulary = 0;  // every id is below it; 0: unknown
};

/// All that decides the memory of a training run, beside the model and what of it is trained.
struct TrainJob {
  int64_t batch_size = 4, accumulate = 1;
  int64_t row_length = 2048;
  int64_t longest = 2048;                                     // of the sequences in a row
  int64_t data_tokens = std::numeric_limits<int64_t>::max();  // a batch never holds more
  Dtype compute = Dtype::kBf16;
  Recompute recompute = Recompute::kNone;
  WeightPlacement weights;
  bool offload = false;  // activations to the host's memory (CUDA)
  bool graphs = true;    // CUDA graphs
  float dropout = 0.0f, neftune_alpha = 0.0f;
  OptimizerOptions optimizer;
  DataPlan data;
  DeviceKind device = DeviceKind::kCpu;

  /// Tokens of a micro-batch, at most.
  int64_t tokens() const;
  StepOptions step_options() const;
};

/// Makes room in the job for rows of this shard.
void add_shard(TrainJob& job, const ShardReader& shard);

/// Plans jobs of one model, which must stay where it is: what is the same in all plans is counted
/// once. The model has its parameters declared; its weights need not be in memory (shape_model).
class TrainingPlanner {
 public:
  TrainingPlanner(const Model& model);  // NOLINT: a model will do wherever plans are made
  MemoryPlan plan(const TrainJob& job) const;
  const Model& model() const { return model_; }

 private:
  void add_optimizer(MemoryPlan& plan, const TrainJob& job) const;

  const Model& model_;
  WeightTally weights_;
  uint64_t stored_ = 0;  // bytes of all weights
  bool all_trained_ = false;
  StateCounts counts_;
  mutable std::map<int64_t, PageSizes> page_sizes_;  // by elements of a page, those asked for
};
MemoryPlan plan_training(const Model& model, const TrainJob& job);

/// Bytes of all weights as they are stored.
uint64_t weight_bytes(const Model& model);

/// Bytes of the rotary table of so many positions.
uint64_t rope_bytes(const ModelConfig& config, int64_t positions);

/// Program, libraries and stacks, before anything is loaded.
inline constexpr uint64_t kProgramBytes = uint64_t{11} << 20;

}  // namespace nibble
