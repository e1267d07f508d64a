// SPDX-License-Identifier: Apache-2.0
// A model on a device: what the folder's model (weights.h) says, its weights copied there, or into
// host memory that the device reads. The host's model stays what files are read into and written
// from; its twin is what ops compute with.
#pragma once

#include <functional>
#include <optional>

#include "model/weight_placement.h"
#include "model/weights.h"
#include "tensor/arena.h"

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

/// The model with every weight in the device's arena, or beside it in pinned host memory, which the
/// copy keeps alive, where `placement` says so. What is trained is declared but not laid out, and
/// its first values are not copied. Projections of a group lie side by side, so that dense ones are
/// one matrix. In an arena that measures weights point nowhere.
/// On the CPU, what was copied of the model's files is no longer resident.
Model copy_model(const Model& model, Arena& arena, const WeightPlacement& placement = {},
                 Stream stream = current_stream());

/// Where the CPU reads weights: where their files are mapped, shared with other processes in pages
/// of 4 KiB, or from a copy in huge pages, which processors fetch farther ahead in. Weights that
/// are read once a token are worth copying.
enum class HostWeights : bool { kMapped, kCopied };
/// What to decode with: copied where there are huge pages and twice the memory that it takes.
HostWeights weights_for_decoding(const Model& model);

/// A model that is computed with, but not trained, and what else that takes, laid out together: on
/// a device all of it is one allocation of its memory.
class PlacedModel {
 public:
  PlacedModel() = default;
  PlacedModel(const PlacedModel&) = delete;
  PlacedModel& operator=(const PlacedModel&) = delete;

  /// rest(arena, model) takes all else, twice, as make_arena says; its model is the one to compute
  /// with: on the CPU `model` itself unless copied, which must stay in either case.
  using Rest = std::function<void(Arena& arena, const Model& model)>;
  void lay_out(const Model& model, Device device, Dtype compute, const Rest& rest,
               HostWeights weights = HostWeights::kMapped);

  const Model& model() const { return *model_; }
  Stream stream() const { return stream_.get(); }
  /// Bytes of it all.
  size_t bytes() const { return arena_.peak(); }

 private:
  Arena arena_;
  OwnedStream stream_;
  std::optional<Model> twin_;
  const Model* model_ = nullptr;
};

/// Whether the embedding can be read from host memory: not where it is the head's weight too, nor
/// where it is trained.
bool embedding_may_leave(const Model& model);

/// All trained values from one model's parameters to its twin's, which then refreshes what ops
/// read; and back, waiting for it.
void upload_parameters(const ParameterSet& host, const ParameterSet& device);
void download_parameters(const ParameterSet& device, const ParameterSet& host);

}  // namespace nibble
