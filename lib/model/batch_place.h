// SPDX-License-Identifier: Apache-2.0
// A batch where the ops read it: on the CPU its own arrays, on a device a copy of them, made in one
// piece from pinned memory.
#pragma once

#include "model/batch.h"
#include "tensor/arena.h"

namespace nibble {

/// Views of a batch's arrays, i32 unless said.
struct BatchTensors {
  Tensor ids, positions;  // (N)
  Tensor starts;          // (S+1)
  Tensor parents;         // (S), absent without a tree
  Tensor rows, targets;   // (M)
  Tensor lengths;         // (N) while decoding: positions of the cache that each reads
  Tensor noise;           // (N) f32, absent without
  Tensor draw;            // (1)
  Tensor grad_scale;      // (1) f32
};

/// What a micro-batch is told beside its tokens.
struct BatchTold {
  std::vector<float> noise;  // (N) or empty: how loud NEFTune's noise is
  int32_t draw = 0;          // names the micro-batch's random numbers
  float grad_scale = 1.0f;   // of every row's loss
};

inline const BatchTold kNothingTold;

class BatchPlace {
 public:
  BatchPlace() = default;
  /// Room for up to so many tokens and trained ones; nothing on the CPU.
  BatchPlace(Arena& arena, int64_t tokens, int64_t labelled);

  /// Ids and targets must be below `vocabulary`. On a device the copy is only begun, and a batch
  /// always lies where another of its shape lay; on the CPU batch and told must stay.
  BatchTensors put(const Batch& batch, int64_t vocabulary,
                   const BatchTold& told = kNothingTold) const;

  /// What it took of the arena; absent on the CPU.
  Tensor room() const { return room_; }

 private:
  struct Staging;
  Tensor room_;  // i32
  std::shared_ptr<Staging> staging_;
};

}  // namespace nibble
