// SPDX-License-Identifier: Apache-2.0
// A model on a device: what the folder's model (weights.h) says, its weights copied there. The
// host's model stays what files are read into and written from; its twin is what ops compute with.
#pragma once

#include "model/weights.h"
#include "tensor/memory.h"

namespace nibble {

/// Bytes that copy_model will need on the device.
size_t device_weight_bytes(const Model& model);

/// The model with every weight in `memory`, which the copy keeps alive. What is trained is declared
/// but not laid out. Projections of a group lie side by side, so that they are one matrix.
Model copy_model(const Model& model, Device device, Stream stream = current_stream());

/// All trained values from one model's parameters to its twin's, which then refreshes what ops
/// read; and back, waiting for it.
void upload_parameters(const ParameterSet& host, const ParameterSet& device);
void download_parameters(const ParameterSet& device, const ParameterSet& host);

}  // namespace nibble
