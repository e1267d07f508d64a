// SPDX-License-Identifier: Apache-2.0
// Everything nibble-train can be told, in one place: the tool declares it, a checkpoint records it,
// the loop reads it.
#pragma once

#include <optional>
#include <string>

#include "fit/weight_choice.h"
#include "io/json.h"
#include "model/lora.h"
#include "model/step.h"

namespace nibble {

struct TrainOptions {
  std::string model, data, out;
  Device device;  // what computes
  // what
  std::string method = "lora";  // lora, full
  LoraConfig lora;
  std::string adapter;     // go on from this adapter
  std::string add_tokens;  // file of new tokens
  // how long
  double epochs = 1.0;
  std::optional<int64_t> steps;  // overrides epochs
  int64_t batch_size = 4;        // rows of a micro-batch
  int64_t accumulate = 1;        // micro-batches of a step
  // how
  double learning_rate = 2e-4;
  std::string schedule = "cosine";  // linear, cosine, constant, wsd
  std::string warmup = "0.03";      // a share of the steps, or "100steps"
  double decay_share = 0.2;         // wsd: the last share of the steps decays
  double min_learning_rate = 0.0;   // as a share of the peak: where cosine, linear and wsd end
  double weight_decay = 0.0, max_grad_norm = 1.0;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, momentum = 0.0;
  double neftune_alpha = 0.0;
  std::string optimizer = "adamw";  // adamw, adamw-8bit, sgd; paged-adamw, paged-adamw-8bit
  bool shuffle = true;
  uint64_t seed = 0;
  // memory
  std::optional<Recompute> recompute;  // absent: the cheapest that fits
  bool offload_activations = false;    // to the host's memory (CUDA)
  uint64_t memory_limit = 0;           // bytes; 0: what is free
  uint64_t host_memory = 0;            // bytes beside a device; 0: what may be pinned
  WeightChoice weights;
  Dtype compute = Dtype::kBf16;
  bool graphs = true;  // CUDA graphs
  // watch
  std::string validation, metrics;
  int64_t eval_every = 0;  // steps; 0: once an epoch
  int64_t patience = 0;    // evaluations without improvement; 0: off
  int64_t save_every = 0;  // steps; 0: only when stopped
  int64_t keep = 2;        // checkpoints
  bool keep_best = false;
  // go on
  std::optional<std::string> resume;  // "auto" or a checkpoint folder
  bool deterministic = false;
  /// What the metrics say of the run besides what it knows of itself: version, command, options.
  Json told = Json::object();
};

}  // namespace nibble
