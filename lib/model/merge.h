// SPDX-License-Identifier: Apache-2.0
// An adapter merged into its base: W + scale * B A of every adapted layer, in f32, trained modules
// and biases in place of the base's. The result is a model folder of its own, dense or quantised.
// Equal to PEFT's merge_and_unload to rounding; where embedding and head were tied in the base and
// the adapter gives them different values, the merged model has both (tie_word_embeddings false).
#pragma once

#include <functional>
#include <string>

#include "io/file.h"
#include "model/config.h"
#include "tensor/device.h"

namespace nibble {

struct MergeOptions {
  /// "keep" (every tensor as the base stores it, quantised ones quantised again the same way),
  /// "f32", "f16", "bf16" (all dense, quantised ones dequantised), "nf4", "fp4", "int8".
  std::string type = "keep";
  Device device;  // what computes
  std::function<void(size_t done, size_t total, const std::string& name)> progress;
};

struct MergeReport {
  ModelConfig config;
  size_t adapted = 0, replaced = 0;  // layers with an adapter; tensors trained in full
  size_t tensors = 0;
  uint64_t bytes = 0;
  uint64_t device_bytes = 0;  // of its memory, where one computed
};

/// Streams: memory for the adapter and one weight's panel (for one weight where it is quantised);
/// on a device for two panels and one layer's adapter. Throws DataError or UnavailableError naming
/// what does not fit, CannotCreateError where `out` exists.
MergeReport merge_adapter(const fs::path& model, const fs::path& adapter, const fs::path& out,
                          const MergeOptions& options);

}  // namespace nibble
