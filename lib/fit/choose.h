// SPDX-License-Identifier: Apache-2.0
// Which ways to save memory a training run takes: of all sets of them that fit, the one that costs
// least time by fit/step_cost.h. All of them give the same bits, so nothing but time is at stake.
#pragma once

#include "fit/step_cost.h"

namespace nibble {

/// What is open to choice; all else stays as the job has it. All but recompute are for CUDA.
struct Open {
  bool recompute = true;
  bool offload = true;    // of activations
  bool paged = true;      // state of AdamW
  bool keep = true;       // layers expanded once
  bool stream = true;     // layers from the host's memory
  bool embedding = true;  // in the host's memory
};

/// The options of nibble-train that make `job` of a job that is otherwise like it.
std::vector<std::string> changed_options(const TrainJob& asked, const TrainJob& job);
/// How it saves memory: "--recompute=layer --offload-activations".
std::string memory_options(const TrainJob& job);

/// Every way to set what is open, with as few layers streamed, else as many kept, as the limits
/// allow.
std::vector<TrainJob> memory_settings(const TrainingPlanner& planner, const TrainJob& job,
                                      const Open& open, const MemoryLimits& limits);

/// The fastest whose plan the limits hold, or where there is none, of those that the host has room
/// for the one that needs least of the device.
TrainJob choose_memory(const TrainingPlanner& planner, const TrainJob& job, const Open& open,
                       const MemoryLimits& limits, const Rates& rates);

}  // namespace nibble
