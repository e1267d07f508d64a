// SPDX-License-Identifier: Apache-2.0
// A batch where the ops read it: on the CPU its own arrays, on a device a copy of them, made in one
// piece from pinned memory.
#pragma once

#include "model/batch.h"
#include "tensor/arena.h"

namespace nibble {

/// Views of a batch's arrays, i32.
struct BatchTensors {
  Tensor ids, positions;  // (N)
  Tensor starts;          // (S+1)
  Tensor parents;         // (S), absent without a tree
  Tensor rows, targets;   // (M)
  Tensor lengths;         // (N), absent but while decoding
};

class BatchPlace {
 public:
  BatchPlace() = default;
  /// Room for up to so many tokens and trained ones; nothing on the CPU.
  BatchPlace(Arena& arena, int64_t tokens, int64_t labelled);

  /// Ids and targets must be below `vocabulary`. On a device the copy is only begun: the batch
  /// before must have been waited for.
  BatchTensors put(const Batch& batch, int64_t vocabulary) const;

  /// What it took of the arena; absent on the CPU.
  Tensor room() const { return room_; }

 private:
  Tensor room_;  // i32
  std::shared_ptr<HostMemory> staging_;
};

}  // namespace nibble
