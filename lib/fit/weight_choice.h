// SPDX-License-Identifier: Apache-2.0
// How many layers' weights are kept expanded, streamed or left: what --keep-weights and its kin
// ask, and what fits where nothing is asked.
#pragma once

#include <string_view>

#include "fit/memory_plan.h"

namespace nibble {

/// What is asked: "auto", "none", "all" or a number of layers.
struct WeightChoice {
  std::string keep = "auto", stream = "auto";
  bool host_embedding = false;
};

/// What is asked in so many words; "auto" keeps and streams none. Throws UsageError where it is no
/// number, more than the model's layers, or cannot be on the device.
WeightPlacement placement_asked(const WeightChoice& choice, const Model& model, DeviceKind device);

/// What "auto" keeps, all else being as the job says: on CUDA as many layers as fit into `limit`,
/// so that their weights are expanded once and not in every pass. On a CPU none: expanding runs
/// from the cache, reading what is kept from memory.
int64_t layers_to_keep(const TrainingPlanner& planner, TrainJob job, const MemoryLimits& limits);

/// What "auto" streams, on CUDA: as few layers as make it fit into the device; where none do, as
/// many as make it need least and as the host has room for.
int64_t layers_to_stream(const TrainingPlanner& planner, TrainJob job, const MemoryLimits& limits);

}  // namespace nibble
