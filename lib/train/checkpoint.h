// SPDX-License-Identifier: Apache-2.0
// Checkpoints: OUT/checkpoint-000120/ holds the trained weights as fp32 values, the optimizer's
// state and trainer_state.json, and the adapter as PEFT reads it. A checkpoint is written beside
// its name and renamed when complete; a kill at any moment leaves whole checkpoints only. It
// records what it belongs to: base model, data and adapter by digest, and every option that decides
// bits.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/json.h"
#include "train/optimizer.h"

namespace nibble {

/// Where a run stands; everything else follows from the options.
struct TrainerState {
  int64_t step = 0;           // updates done
  int64_t micro_batches = 0;  // done, for the counters of random draws
  int64_t tokens = 0;         // trained on so far
  double best_loss = 0.0;     // of validation
  int64_t best_step = 0;      // 0: none yet
  int64_t evaluations_since_best = 0;
  bool validation_due = false;        // the one of this step was not done to its end
  std::vector<double> recent_losses;  // of the last steps, newest last, for spotting spikes
  // What made it; another's numbers may differ in the last place.
  int64_t threads = 0;
  std::string cpu;     // the instruction set
  std::string device;  // cpu or cuda; empty: an older checkpoint, which does not say
};

std::string checkpoint_name(int64_t step);

/// Writes OUT/checkpoint-N; `save_model` puts the loadable adapter or model into the folder.
/// `settings` is what a resumed run must agree with: options by name; files as {"digest": ...}, or
/// null where there is none.
void save_checkpoint(const fs::path& out, const TrainerState& state, const Json& settings,
                     const ParameterSet& parameters, const Optimizer& optimizer,
                     const std::function<void(const fs::path&)>& save_model);

/// Fills values and optimizer state. Throws DataError naming the file where it is damaged or
/// another run's, and the setting that differs.
TrainerState load_checkpoint(const fs::path& checkpoint, const Json& settings,
                             const ParameterSet& parameters, const Optimizer& optimizer);

/// The newest whole checkpoint in OUT, if any.
std::optional<fs::path> latest_checkpoint(const fs::path& out);

/// Removes all but the `keep` newest checkpoints, and never that of step `best` (0: none); removes
/// what killed runs left half-written in OUT.
void prune_checkpoints(const fs::path& out, int64_t keep, int64_t best);

}  // namespace nibble
