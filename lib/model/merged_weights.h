// SPDX-License-Identifier: Apache-2.0
// The weights of a model with its adapter added in, as sources of panels in f32.
#pragma once

#include <optional>
#include <vector>

#include "model/merge_device.h"
#include "model/model_writer.h"
#include "model/weights.h"
#include "quant/quantize.h"

namespace nibble {

struct MergedWeight {
  WeightSource source;
  bool linear = false;                    // of a block, or the head: may be quantised
  std::optional<QuantizeOptions> stored;  // how the base has it quantised
};

/// All tensors in the order of model_weights, and the head too where it is not the embedding any
/// more. The model's parameters are laid out and filled; it must outlive the result, and so must
/// `device`, which computes where it is given.
std::vector<MergedWeight> merged_weights(const Model& model, MergeDevice* device = nullptr);

/// Whether embedding and head have the same values, tied as they were.
bool stays_tied(const Model& model);

}  // namespace nibble
