// SPDX-License-Identifier: Apache-2.0
// What would make a training run fit: the settings that compute the same updates (or, of the
// optimizer's state in 8 bits, very nearly), tried in every combination and ordered by the time
// they cost.
#pragma once

#include "fit/memory_plan.h"
#include "fit/step_cost.h"

namespace nibble {

struct Remedy {
  TrainJob job;
  std::vector<std::string> options;  // of nibble-train: what differs from the job asked about
  uint64_t bytes = 0;                // the plan's total
  double slower = 0.0;               // share of time lost, by fit/step_cost.h
};

/// Everything that fits, cheapest first, less what costs more than something that needs less. Empty
/// where nothing fits.
std::vector<Remedy> remedies(const TrainingPlanner& planner, const TrainJob& job,
                             const MemoryLimits& limits, const Rates& rates);

/// The plan of least memory that these settings reach where the host has so much.
uint64_t least_bytes(const TrainingPlanner& planner, const TrainJob& job, uint64_t host);

/// What limits were given, so that a refusal says whose they are.
struct LimitsGiven {
  bool device = false, host = false;
};
/// "the plan needs 812 MiB, --memory-limit allows 512 MiB; it fits with --recompute=layer
/// (498 MiB)".
std::string refusal(const TrainingPlanner& planner, const TrainJob& job, const MemoryLimits& limits,
                    LimitsGiven given, const Rates& rates);

}  // namespace nibble
