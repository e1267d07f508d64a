// SPDX-License-Identifier: Apache-2.0
// The key/value cache: for every block, (B, P, K*D) keys and values, P positions a slot.
#pragma once

#include "fit/generator_layout.h"

namespace nibble {

class Cache {
 public:
  /// On buffers of so many positions a slot.
  Cache(CacheBuffers buffers, const ModelConfig& config, int64_t positions);

  Tensor keys(int64_t block) const { return buffers_.keys[static_cast<size_t>(block)]; }
  Tensor values(int64_t block) const { return buffers_.values[static_cast<size_t>(block)]; }
  /// Of all blocks.
  std::span<const Tensor> keys() const { return buffers_.keys; }
  std::span<const Tensor> values() const { return buffers_.values; }
  /// Stores rows [row, row + count) of qkv at positions [position, ...) of a slot.
  void store(int64_t block, int64_t slot, int64_t position, const Tensor& qkv, int64_t row,
             int64_t count) const;
  /// Moves `positions` positions of all blocks from one slot to another.
  void move(int64_t from, int64_t to, int64_t positions) const;

 private:
  int64_t query_width_ = 0, width_ = 0, positions_ = 0;
  CacheBuffers buffers_;
};

}  // namespace nibble
