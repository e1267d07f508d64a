// SPDX-License-Identifier: Apache-2.0
// A model on a device: what the folder's model (weights.h) says, its weights copied there, or into
// host memory that the device reads. The host's model stays what files are read into and written
// from; its twin is what ops compute with.
#pragma once

#include "model/weight_placement.h"
#include "model/weights.h"
#include "tensor/memory.h"

namespace nibble {

/// Bytes that copy_model takes on the device, and of pinned host memory.
struct WeightBytes {
  size_t device = 0, host = 0;
};
WeightBytes weight_bytes_of(const Model& model, const WeightPlacement& placement = {});
/// The same for any placement, the weights gone over once: every piece of them takes as much on the
/// host as on the device.
class WeightTally {
 public:
  explicit WeightTally(const Model& model);
  WeightBytes of(const WeightPlacement& placement) const;

 private:
  size_t all_ = 0, embedding_ = 0;
  std::vector<size_t> layers_;
};
/// Bytes of a layer's linear weights that are copied in together where it is streamed.
int64_t streamed_bytes(const Block& block);

/// The model with every weight on the device, or beside it in pinned host memory where `placement`
/// says so; the copy keeps both alive. What is trained is declared but not laid out, and its first
/// values are not copied. Projections of a group lie side by side, so that dense ones are one
/// matrix.
Model copy_model(const Model& model, Device device, const WeightPlacement& placement = {},
                 Stream stream = current_stream());

/// Whether the embedding can be read from host memory: not where it is the head's weight too, nor
/// where it is trained.
bool embedding_may_leave(const Model& model);

/// All trained values from one model's parameters to its twin's, which then refreshes what ops
/// read; and back, waiting for it.
void upload_parameters(const ParameterSet& host, const ParameterSet& device);
void download_parameters(const ParameterSet& device, const ParameterSet& host);

}  // namespace nibble
